#include "text/jinja/runtime.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

constexpr int64_t kTicksPerClock = 2048;   // about 50 us of work
constexpr size_t kBytesPerTick = 64;       // of an allocation: written once, later freed
constexpr size_t kAllocationBytes = 16;    // what malloc adds to a block, at most
constexpr size_t kMaxExcerptBytes = 4096;  // longer than any message that is meant to be read

// The rendering that pays on this thread. Containers of values are made, copied and freed in
// hundreds of places; one that had to be told who pays would sooner or later not be told.
constinit thread_local Runtime* paying = nullptr;

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

int32_t deepest(const List<Value>& items) {
  int32_t depth = 0;
  for (const Value& item : items) depth = std::max(depth, depth_of(item));
  return depth;
}

}  // namespace

void pay_memory(size_t bytes) {
  Runtime* const runtime = paying;
  if (runtime == nullptr) return;
  runtime->check_memory(bytes);
  runtime->live_bytes_ += bytes + kAllocationBytes;
  runtime->tick(bytes / kBytesPerTick);
}

void return_memory(size_t bytes) noexcept {
  if (paying != nullptr) paying->live_bytes_ -= bytes + kAllocationBytes;
}

Runtime::Runtime(const Limits& limits) : limits_(limits), start_(std::chrono::steady_clock::now()) {
  CHECK(paying == nullptr);
  paying = this;
}

Runtime::~Runtime() { paying = nullptr; }

void Runtime::fail(std::string message) const { throw TemplateError{std::move(message), line_}; }

void Runtime::fail_undefined(const Value& value) const {
  fail(value.object() != nullptr ? std::string(value.as<UndefinedObject>().message)
                                 : "an undefined value is used");
}

void Runtime::check_time() {
  next_check_ = work_ + kTicksPerClock;
  if (work_ > limits_.work) fail("the template takes too many steps");
  const auto spent = std::chrono::steady_clock::now() - start_;
  if (spent > std::chrono::milliseconds(limits_.time_ms)) {
    fail(fmt::format("the template takes longer than {} ms", limits_.time_ms));
  }
}

void Runtime::check_memory(size_t bytes) const {
  const size_t left = limits_.memory_bytes - std::min(live_bytes_, limits_.memory_bytes);
  if (bytes > left) {
    fail(fmt::format("the template needs more than {} bytes of memory", limits_.memory_bytes));
  }
}

Value Runtime::string(Text text, bool safe) {
  tick_compare(text.size());
  auto object = make_metered<StringObject>();
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

Value Runtime::sequence(Kind kind, List<Value> items, const char* view_name) {
  tick(1 + items.size());
  auto object = make_metered<ListObject>();
  object->depth = checked_depth(deepest(items));
  object->items = std::move(items);
  object->view_name = view_name;
  return Value(kind, std::move(object));
}

Value Runtime::list(List<Value> items) { return sequence(Kind::kList, std::move(items), nullptr); }

Value Runtime::tuple(List<Value> items) {
  return sequence(Kind::kTuple, std::move(items), nullptr);
}

Value Runtime::view(const char* name, List<Value> items) {
  return sequence(Kind::kView, std::move(items), name);
}

Value Runtime::generator(List<Value> items) {
  tick(1 + items.size());
  auto object = make_metered<GeneratorObject>();
  object->depth = checked_depth(deepest(items));
  object->items = std::move(items);
  return Value(Kind::kGenerator, std::move(object));
}

Value Runtime::cycler(List<Value> items) {
  tick(1 + items.size());
  auto object = make_metered<CyclerObject>();
  object->depth = checked_depth(deepest(items));
  object->items = std::move(items);
  return Value(Kind::kCycler, std::move(object));
}

Value Runtime::undefined(std::string_view message) {
  auto object = make_metered<UndefinedObject>();
  object->message = message;
  return Value(Kind::kUndefined, std::move(object));
}

Value Runtime::dict(List<std::pair<Value, Value>> entries) {
  tick(1 + entries.size());
  auto object = make_metered<DictObject>();
  int32_t depth = 0;
  object->entries.reserve(entries.size());
  for (auto& [key, value] : entries) {
    Text hash;
    if (!hash_key(key, hash)) fail(fmt::format("unhashable type: '{}'", type_name(key)));
    depth = std::max({depth, depth_of(key), depth_of(value)});
    object->set(std::move(hash), std::move(key), std::move(value));
  }
  object->depth = checked_depth(depth);
  return Value(Kind::kDict, std::move(object));
}

Value Runtime::name_space(List<std::pair<Text, Value>> attributes) {
  auto object = make_metered<NamespaceObject>();
  object->attributes = std::move(attributes);
  namespaces_.push_back(object);
  return Value(Kind::kNamespace, std::move(object));
}

void Runtime::clear_namespaces() {
  for (const auto& space : namespaces_) space->attributes.clear();
  namespaces_.clear();
}

std::string_view excerpt(std::string_view text) {
  if (text.size() <= kMaxExcerptBytes) return text;
  return text.substr(0, start_before(text, kMaxExcerptBytes));
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
