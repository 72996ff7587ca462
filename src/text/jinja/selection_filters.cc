// map, select, reject and their attribute forms, which call other filters and tests by name.
#include <unordered_map>

#include <fmt/format.h>

#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"

namespace gallop::text::jinja {
namespace {

// The arguments after the first `count` positional ones.
Arguments rest(const Arguments& arguments, size_t count) {
  Arguments out;
  out.named = arguments.named;
  for (size_t i = count; i < arguments.positional.size(); ++i) {
    out.positional.push_back(arguments.positional[i]);
  }
  return out;
}

const Text& name_argument(const Runtime& runtime, const char* what, const Arguments& arguments,
                          size_t position) {
  const auto& given = arguments.positional;
  if (position >= given.size() || !given[position].is_string()) {
    runtime.fail(fmt::format("{} needs a name as argument {}", what, position + 1));
  }
  return given[position].text();
}

Value map_attribute(Runtime& runtime, const Value& input, const Arguments& arguments) {
  Value path;
  const Value* fallback = nullptr;
  for (const auto& [name, value] : arguments.named) {
    if (name == "attribute") {
      path = value;
    } else if (name == "default") {
      fallback = &value;
    } else {
      runtime.fail(fmt::format("map got an unexpected argument '{}'", name));
    }
  }
  List<Value> items;
  for (const Value& item : iterate(runtime, input)) {
    Value value = attribute_path(runtime, item, path);
    items.push_back(value.is_undefined() && fallback != nullptr ? *fallback : std::move(value));
  }
  return runtime.generator(std::move(items));
}

// What is false (none, too) counts as empty, and the arguments are not looked at.
Value filter_map(Runtime& runtime, const Value& input, const Arguments& arguments) {
  if (!input.truth()) return runtime.generator({});
  if (arguments.positional.empty() && !arguments.named.empty()) {
    return map_attribute(runtime, input, arguments);
  }
  const Text& name = name_argument(runtime, "map", arguments, 0);
  const Arguments inner = rest(arguments, 1);
  List<Value> items;
  for (const Value& item : iterate(runtime, input)) {
    items.push_back(apply_filter(runtime, name, item, inner));
  }
  return runtime.generator(std::move(items));
}

// Keeps the items whose test gives `wanted`; without a test: their truth. What is false counts as
// empty, as in map.
Value select_items(Runtime& runtime, const Value& input, const Arguments& arguments, bool wanted,
                   bool by_attribute) {
  if (!input.truth()) return runtime.generator({});
  const size_t skip = by_attribute ? 1 : 0;
  if (by_attribute && arguments.positional.empty()) {
    runtime.fail("Missing parameter for attribute name");
  }
  const bool has_test = arguments.positional.size() > skip;
  const Arguments inner = rest(arguments, skip + 1);
  List<Value> items;
  for (const Value& item : iterate(runtime, input)) {
    const Value subject =
        by_attribute ? attribute_path(runtime, item, arguments.positional[0]) : item;
    const bool holds =
        has_test
            ? apply_test(runtime, name_argument(runtime, "select", arguments, skip), subject, inner)
            : subject.truth();
    if (holds == wanted) items.push_back(item);
  }
  return runtime.generator(std::move(items));
}

Value filter_select(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return select_items(runtime, input, arguments, true, false);
}

Value filter_reject(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return select_items(runtime, input, arguments, false, false);
}

Value filter_selectattr(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return select_items(runtime, input, arguments, true, true);
}

Value filter_rejectattr(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return select_items(runtime, input, arguments, false, true);
}

// `x|attr("name")`: the attribute alone, never the item.
Value filter_attr(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Text& name = name_argument(runtime, "attr", arguments, 0);
  if (input.is(Kind::kDict) && !has_method(input, name)) {
    return runtime.undefined(fmt::format("'dict object' has no attribute '{}'", name));
  }
  return attribute(runtime, input, name);
}

}  // namespace

Filter find_selection_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, Filter> kFilters = {
      {"attr", filter_attr},     {"map", filter_map},
      {"reject", filter_reject}, {"rejectattr", filter_rejectattr},
      {"select", filter_select}, {"selectattr", filter_selectattr},
  };
  const auto found = kFilters.find(name);
  return found == kFilters.end() ? nullptr : found->second;
}

Filter find_filter(std::string_view name) {
  if (const Filter filter = find_text_filter(name)) return filter;
  if (const Filter filter = find_sequence_filter(name)) return filter;
  return find_selection_filter(name);
}

Value apply_filter(Runtime& runtime, std::string_view name, const Value& input,
                   const Arguments& arguments) {
  const Filter filter = find_filter(name);
  if (filter == nullptr) runtime.fail(fmt::format("No filter named '{}'.", excerpt(name)));
  runtime.tick();
  return filter(runtime, input, arguments);
}

bool apply_test(Runtime& runtime, std::string_view name, const Value& input,
                const Arguments& arguments) {
  const Test test = find_test(name);
  if (test == nullptr) runtime.fail(fmt::format("No test named '{}'.", excerpt(name)));
  runtime.tick();
  return test(runtime, input, arguments);
}

}  // namespace gallop::text::jinja
