#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/string_methods.h"

namespace gallop::text::jinja {
namespace {

using Names = std::initializer_list<std::string_view>;

bool one_of(std::string_view name, Names names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Text key_of(const Runtime& runtime, const Value& key) {
  Text hash;
  if (!hash_key(key, hash)) runtime.fail(fmt::format("unhashable type: '{}'", type_name(key)));
  return hash;
}

Value call_dict_method(Runtime& runtime, const Value& self, std::string_view name,
                       const Arguments& arguments) {
  const auto& dict = self.as<DictObject>();
  if (name == "get") {
    const auto bound = bind(runtime, "get", arguments, {"key", "default"});
    if (!bound[0].has_value()) runtime.fail("get needs a key");
    const Value* const found = dict.find(key_of(runtime, *bound[0]));
    return found != nullptr ? *found : bound[1].value_or(Value::none());
  }
  bind(runtime, name, arguments, {});
  if (name == "copy") return self;
  List<Value> items;
  items.reserve(dict.entries.size());
  for (const auto& [key, value] : dict.entries) {
    items.push_back(name == "keys" ? key : name == "values" ? value : runtime.tuple({key, value}));
  }
  return runtime.view(name == "keys"     ? "dict_keys"
                      : name == "values" ? "dict_values"
                                         : "dict_items",
                      std::move(items));
}

Value call_list_method(Runtime& runtime, const Value& self, std::string_view name,
                       const Arguments& arguments) {
  if (name == "copy") {
    bind(runtime, name, arguments, {});
    return self;
  }
  const auto bound = bind(runtime, name, arguments, {"value"});
  if (!bound[0].has_value()) runtime.fail(fmt::format("{} needs a value", name));
  int64_t count = 0;
  for (size_t i = 0; i < self.items().size(); ++i) {
    if (!equal(runtime, self.items()[i], *bound[0])) continue;
    if (name == "index") return Value::integer(static_cast<int64_t>(i));
    ++count;
  }
  if (name == "index") {
    runtime.fail(fmt::format("{} is not in list", excerpt(to_repr(runtime, *bound[0]))));
  }
  return Value::integer(count);
}

Value call_loop_method(Runtime& runtime, const Value& self, std::string_view name,
                       const Arguments& arguments) {
  auto& loop = self.as<LoopObject>();
  if (!arguments.named.empty()) runtime.fail(fmt::format("loop.{} takes no names", name));
  if (name == "cycle") {
    if (arguments.positional.empty()) runtime.fail("no items for cycling given");
    return arguments.positional[loop.index % arguments.positional.size()];
  }
  Text text;
  for (const Value& value : arguments.positional) text += to_repr(runtime, value) + ",";
  const bool changed = !loop.has_changed || loop.changed != text;
  loop.has_changed = true;
  loop.changed = std::move(text);
  return Value::boolean(changed);
}

Value call_cycler_method(Runtime& runtime, const Value& self, std::string_view name,
                         const Arguments& arguments) {
  bind(runtime, name, arguments, {});
  auto& cycler = self.as<CyclerObject>();
  if (name == "reset") {
    cycler.position = 0;
    return Value::none();
  }
  const Value value = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return value;
}

}  // namespace

bool is_mutator(const Value& value, std::string_view name) {
  if (value.is(Kind::kList)) {
    return one_of(name,
                  {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"});
  }
  return value.is(Kind::kDict) && one_of(name, {"clear", "pop", "popitem", "setdefault", "update"});
}

std::string unsafe_message(const Value& value, std::string_view name) {
  return fmt::format("access to attribute '{}' of '{}' object is unsafe", name, type_name(value));
}

bool has_method(const Value& value, std::string_view name) {
  switch (value.kind()) {
    case Kind::kString:
      return is_string_method(name);
    case Kind::kDict:
      return one_of(name, {"get", "items", "keys", "values", "copy", "fromkeys"}) ||
             is_mutator(value, name);
    case Kind::kList:
      return one_of(name, {"copy", "count", "index"}) || is_mutator(value, name);
    case Kind::kTuple:
      return one_of(name, {"count", "index"});
    case Kind::kLoop:
      return one_of(name, {"cycle", "changed"});
    case Kind::kCycler:
      return one_of(name, {"next", "reset"});
    default:
      return false;
  }
}

Value call_method(Runtime& runtime, const Value& self, std::string_view name,
                  const Arguments& arguments) {
  runtime.tick();
  if (is_mutator(self, name)) runtime.fail(unsafe_message(self, name));
  switch (self.kind()) {
    case Kind::kString:
      return call_string_method(runtime, self, name, arguments);
    case Kind::kDict:
      if (name == "fromkeys") runtime.fail("the method 'fromkeys' is not supported");
      return call_dict_method(runtime, self, name, arguments);
    case Kind::kList:
    case Kind::kTuple:
      return call_list_method(runtime, self, name, arguments);
    case Kind::kLoop:
      return call_loop_method(runtime, self, name, arguments);
    default:
      return call_cycler_method(runtime, self, name, arguments);
  }
}

}  // namespace gallop::text::jinja
