#include "text/jinja/runtime.h"

#include <algorithm>

#include <fmt/format.h>

#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

constexpr int64_t kTicksPerClock = 2048;  // about 50 us of work
constexpr size_t kObjectBytes = 64;       // header, control block

int32_t depth_of(const Value& value) {
  switch (value.kind()) {
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      return value.as<ListObject>().depth;
    case Kind::kDict:
      return value.as<DictObject>().depth;
    case Kind::kMethod:
      return 1 + depth_of(value.as<MethodObject>().self);
    case Kind::kGenerator:
      return value.as<GeneratorObject>().depth;
    case Kind::kCycler:
      return value.as<CyclerObject>().depth;
    case Kind::kLoop:
      return 1 + value.as<LoopObject>().items->depth;
    default:
      return 0;
  }
}

int32_t deepest(const std::vector<Value>& items) {
  int32_t depth = 0;
  for (const Value& item : items) depth = std::max(depth, depth_of(item));
  return depth;
}

}  // namespace

Runtime::Runtime(const Limits& limits)
    : limits_(limits), start_(std::chrono::steady_clock::now()) {}

void Runtime::fail(std::string message) const { throw TemplateError{std::move(message), line_}; }

void Runtime::tick(size_t units) {
  work_ += static_cast<int64_t>(units);
  if (work_ < next_check_) return;
  next_check_ = work_ + kTicksPerClock;
  if (work_ > limits_.work) fail("the template takes too many steps");
  const auto spent = std::chrono::steady_clock::now() - start_;
  if (spent > std::chrono::milliseconds(limits_.time_ms)) {
    fail(fmt::format("the template takes longer than {} ms", limits_.time_ms));
  }
}

void Runtime::reserve_text(size_t bytes) {
  if (bytes > limits_.text_bytes) {
    fail(fmt::format("a text of {} bytes is longer than the limit of {}", bytes,
                     limits_.text_bytes));
  }
  tick(1 + bytes / 32);
}

void Runtime::charge(Object& object, size_t bytes) {
  object.meter = &meter_;
  object.charged_bytes = bytes + kObjectBytes;
  meter_.live_bytes += object.charged_bytes;
  if (meter_.live_bytes > limits_.live_bytes) {
    fail(fmt::format("the template's values need more than {} bytes", limits_.live_bytes));
  }
}

Value Runtime::string(std::string text, bool safe) {
  reserve_text(text.size());
  auto object = std::make_shared<StringObject>();
  charge(*object, text.size());
  object->ascii = is_ascii(text);
  object->text = std::move(text);
  object->safe = safe;
  return Value(Kind::kString, std::move(object));
}

int32_t Runtime::checked_depth(int32_t children) const {
  if (children >= limits_.value_depth) {
    fail(fmt::format("values are nested deeper than {} levels", limits_.value_depth));
  }
  return children + 1;
}

Value Runtime::sequence(Kind kind, std::vector<Value> items, const char* view_name) {
  tick(1 + items.size());
  const int32_t depth = checked_depth(deepest(items));
  auto object = std::make_shared<ListObject>();
  charge(*object, items.size() * sizeof(Value));
  object->items = std::move(items);
  object->depth = depth;
  object->view_name = view_name;
  return Value(kind, std::move(object));
}

Value Runtime::list(std::vector<Value> items) {
  return sequence(Kind::kList, std::move(items), nullptr);
}

Value Runtime::tuple(std::vector<Value> items) {
  return sequence(Kind::kTuple, std::move(items), nullptr);
}

Value Runtime::view(const char* name, std::vector<Value> items) {
  return sequence(Kind::kView, std::move(items), name);
}

Value Runtime::generator(std::vector<Value> items) {
  tick(1 + items.size());
  const int32_t depth = checked_depth(deepest(items));
  auto object = std::make_shared<GeneratorObject>();
  charge(*object, items.size() * sizeof(Value));
  object->items = std::move(items);
  object->depth = depth;
  return Value(Kind::kGenerator, std::move(object));
}

Value Runtime::cycler(std::vector<Value> items) {
  const int32_t depth = checked_depth(deepest(items));
  auto object = std::make_shared<CyclerObject>();
  charge(*object, items.size() * sizeof(Value));
  object->items = std::move(items);
  object->depth = depth;
  return Value(Kind::kCycler, std::move(object));
}

Value Runtime::undefined(std::string message) {
  auto object = std::make_shared<UndefinedObject>();
  charge(*object, message.size());
  object->message = std::move(message);
  return Value(Kind::kUndefined, std::move(object));
}

Value Runtime::dict(std::vector<std::pair<Value, Value>> entries) {
  tick(1 + entries.size());
  auto object = std::make_shared<DictObject>();
  int32_t depth = 0;
  size_t bytes = 0;
  object->entries.reserve(entries.size());
  for (auto& [key, value] : entries) {
    std::string hash;
    if (!hash_key(key, hash)) fail(fmt::format("unhashable type: '{}'", type_name(key)));
    bytes += sizeof(Value) * 2 + hash.size() + kObjectBytes;
    depth = std::max({depth, depth_of(key), depth_of(value)});
    const auto [place, fresh] = object->index.emplace(std::move(hash), object->entries.size());
    if (fresh) {
      object->entries.emplace_back(std::move(key), std::move(value));
    } else {
      object->entries[place->second].second = std::move(value);
    }
  }
  object->depth = checked_depth(depth);
  charge(*object, bytes);
  return Value(Kind::kDict, std::move(object));
}

Value Runtime::name_space(std::vector<std::pair<std::string, Value>> attributes) {
  auto object = std::make_shared<NamespaceObject>();
  charge(*object, attributes.size() * (sizeof(Value) + 32));
  object->attributes = std::move(attributes);
  namespaces_.push_back(object);
  return Value(Kind::kNamespace, std::move(object));
}

void Runtime::clear_namespaces() {
  for (const auto& space : namespaces_) space->attributes.clear();
  namespaces_.clear();
}

std::vector<std::optional<Value>> bind(const Runtime& runtime, std::string_view what,
                                       const Arguments& arguments,
                                       std::initializer_list<std::string_view> names) {
  std::vector<std::optional<Value>> bound(names.size());
  if (arguments.positional.size() > names.size()) {
    runtime.fail(fmt::format("{} takes at most {} arguments, {} were given", what, names.size(),
                             arguments.positional.size()));
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) bound[i] = arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto* const found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      runtime.fail(fmt::format("{} got an unexpected argument '{}'", what, name));
    }
    auto& place = bound[static_cast<size_t>(found - names.begin())];
    if (place.has_value()) {
      runtime.fail(fmt::format("{} got more than one value for '{}'", what, name));
    }
    place = value;
  }
  return bound;
}

}  // namespace gallop::text::jinja
