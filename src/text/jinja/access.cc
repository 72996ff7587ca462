#include <algorithm>

#include <fmt/format.h>

#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

std::string object_name(const Value& value) {
  return value.is(Kind::kNone) ? "None" : fmt::format("{} object", type_name(value));
}

Value missing(Runtime& runtime, const Value& value, const Value& key) {
  if (key.is_string()) {
    return runtime.undefined(fmt::format("'{}' has no attribute {}", object_name(value),
                                         excerpt(to_repr(runtime, key))));
  }
  return runtime.undefined(
      fmt::format("{} has no element {}", object_name(value), excerpt(to_repr(runtime, key))));
}

Value missing(Runtime& runtime, const Value& value, std::string_view name) {
  return runtime.undefined(
      fmt::format("'{}' has no attribute '{}'", object_name(value), excerpt(name)));
}

Value loop_attribute(Runtime& runtime, const LoopObject& loop, std::string_view name) {
  const auto index = static_cast<int64_t>(loop.index);
  const auto count = static_cast<int64_t>(loop.items->items.size());
  if (name == "index") return Value::integer(index + 1);
  if (name == "index0") return Value::integer(index);
  if (name == "first") return Value::boolean(index == 0);
  if (name == "last") return Value::boolean(index + 1 >= count);
  if (name == "length") return Value::integer(count);
  if (name == "revindex") return Value::integer(count - index);
  if (name == "revindex0") return Value::integer(count - index - 1);
  if (name == "depth") return Value::integer(1);  // of recursive loops, which are not supported
  if (name == "depth0") return Value::integer(0);
  if (name == "previtem") {
    if (index == 0) return runtime.undefined("there is no previous item");
    return loop.items->items[loop.index - 1];
  }
  if (index + 1 >= count) return runtime.undefined("there is no next item");
  return loop.items->items[loop.index + 1];
}

bool is_loop_attribute(std::string_view name) {
  static constexpr std::string_view kNames[] = {"index",     "index0",   "first",   "last",
                                                "length",    "depth",    "depth0",  "revindex",
                                                "revindex0", "previtem", "nextitem"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// What Python's getattr finds; false when there is no such attribute.
bool find_attribute(Runtime& runtime, const Value& value, std::string_view name, Value& out) {
  runtime.tick_compare(name.size());
  if (is_mutator(value, name)) {
    out = runtime.undefined(unsafe_message(value, name));
    return true;
  }
  if (has_method(value, name)) {
    auto method = make_metered<MethodObject>();
    method->self = value;
    method->name = name;
    out = Value(Kind::kMethod, std::move(method));
    return true;
  }
  switch (value.kind()) {
    case Kind::kLoop:
      if (!is_loop_attribute(name)) return false;
      out = loop_attribute(runtime, value.as<LoopObject>(), name);
      return true;
    case Kind::kNamespace: {
      auto& space = value.as<NamespaceObject>();
      runtime.tick_compare(space.attributes.size() * (8 + name.size()));
      const Value* const found = space.find(name);
      if (found == nullptr) return false;
      out = *found;
      return true;
    }
    case Kind::kCycler: {
      if (name != "current") return false;
      const auto& cycler = value.as<CyclerObject>();
      out = cycler.items[cycler.position];
      return true;
    }
    default:
      return false;
  }
}

// The element at a Python index (negative ones count from the end), or null.
const Value* element(const List<Value>& items, int64_t index) {
  const auto count = static_cast<int64_t>(items.size());
  if (index < 0) index += count;
  return index >= 0 && index < count ? &items[static_cast<size_t>(index)] : nullptr;
}

// Steps through a text by characters: at ASCII's ends of a string at once, else one by one.
class Cursor {
 public:
  Cursor(const StringObject& object, int64_t index, int64_t count)
      : text_(object.text), ascii_(object.ascii) {
    if (ascii_ || index < count / 2) {
      move(index);
    } else {
      at_ = text_.size();
      move(index - count);
    }
  }

  void move(int64_t characters) {
    if (ascii_) {
      at_ = static_cast<size_t>(static_cast<int64_t>(at_) + characters);
      return;
    }
    for (; characters > 0; --characters) at_ += decode_at(text_, at_).length;
    for (; characters < 0; ++characters) at_ = start_before(text_, at_);
  }
  std::string_view character() const {
    return text_.substr(at_, ascii_ ? 1 : decode_at(text_, at_).length);
  }

 private:
  std::string_view text_;
  bool ascii_;
  size_t at_ = 0;
};

bool string_element(Runtime& runtime, const Value& value, int64_t index, Value& out) {
  const int64_t count = length(runtime, value);
  if (index < 0) index += count;
  if (index < 0 || index >= count) return false;
  const auto& object = value.as<StringObject>();
  if (!object.ascii) runtime.tick_scan(object.text);
  const Cursor cursor(object, index, count);
  out = runtime.string(Text(cursor.character()), object.safe);
  return true;
}

// What Python's value[key] finds; false for LookupError and TypeError.
bool find_item(Runtime& runtime, const Value& value, const Value& key, Value& out) {
  const Value* found = nullptr;
  switch (value.kind()) {
    case Kind::kDict: {
      if (key.is_string()) {
        runtime.tick_scan(key.text());
        found = value.as<DictObject>().find_text(key.text());
      } else if (Text hash; hash_key(key, hash)) {
        found = value.as<DictObject>().find(hash);
      }
      break;
    }
    case Kind::kList:
    case Kind::kTuple:
      if (key.is_integral()) found = element(value.items(), key.as_int());
      break;
    case Kind::kString:
      return key.is_integral() && string_element(runtime, value, key.as_int(), out);
    case Kind::kRange: {
      const auto& range = value.as<RangeObject>();
      if (!key.is_integral()) return false;
      const int64_t index = key.as_int() < 0 ? key.as_int() + range.size() : key.as_int();
      if (index < 0 || index >= range.size()) return false;
      out = Value::integer(range.start + index * range.step);
      return true;
    }
    default:
      return false;
  }
  if (found != nullptr) out = *found;
  return found != nullptr;
}

struct SliceBounds {
  int64_t begin = 0, end = 0, step = 1;
};

// Source: CPython 3.11, Objects/sliceobject.c, PySlice_Unpack and PySlice_AdjustIndices.
SliceBounds resolve_slice(const Runtime& runtime, int64_t count, const Value* begin,
                          const Value* end, const Value* step) {
  const auto given = [&](const Value* bound) {
    if (bound == nullptr || bound->is(Kind::kNone)) return false;
    if (!bound->is_integral()) runtime.fail("slice indices must be integers or None");
    return true;
  };
  SliceBounds bounds;
  if (given(step)) bounds.step = step->as_int();
  if (bounds.step == 0) runtime.fail("slice step can not be zero");
  const bool forward = bounds.step > 0;
  // Beyond these a step has the same effect and sums could overflow.
  bounds.step = std::clamp(bounds.step, -(int64_t{1} << 40), int64_t{1} << 40);
  const int64_t low = forward ? 0 : -1;
  const int64_t high = forward ? count : count - 1;
  const auto clamp = [&](int64_t index) {
    if (index < 0) return std::max(index + count, low);
    return std::min(index, high);
  };
  bounds.begin = given(begin) ? clamp(begin->as_int()) : forward ? low : high;
  bounds.end = given(end) ? clamp(end->as_int()) : forward ? high : low;
  return bounds;
}

int64_t slice_length(const SliceBounds& bounds) {
  const int64_t span = bounds.step > 0 ? bounds.end - bounds.begin : bounds.begin - bounds.end;
  const int64_t stride = std::abs(bounds.step);
  return span > 0 ? (span - 1) / stride + 1 : 0;
}

Value slice_string(Runtime& runtime, const Value& value, const Value* begin, const Value* end,
                   const Value* step) {
  const auto& object = value.as<StringObject>();
  runtime.tick_scan(object.text);
  const int64_t count = length(runtime, value);
  const SliceBounds bounds = resolve_slice(runtime, count, begin, end, step);
  const int64_t characters = slice_length(bounds);
  Text out;
  if (characters > 0) {
    Cursor cursor(object, bounds.begin, count);
    out += cursor.character();
    for (int64_t i = 1; i < characters; ++i) {
      cursor.move(bounds.step);
      out += cursor.character();
    }
  }
  return runtime.string(std::move(out), value.is_safe());
}

}  // namespace

Value attribute(Runtime& runtime, const Value& value, std::string_view name) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  Value out;
  if (find_attribute(runtime, value, name, out)) return out;
  if (value.is(Kind::kDict)) {
    runtime.tick_scan(name);
    const Value* const found = value.as<DictObject>().find_text(name);
    if (found != nullptr) return *found;
  }
  return missing(runtime, value, name);
}

Value item(Runtime& runtime, const Value& value, const Value& key) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  Value out;
  if (find_item(runtime, value, key, out)) return out;
  if (key.is_string() && find_attribute(runtime, value, key.text(), out)) return out;
  return missing(runtime, value, key);
}

Value slice(Runtime& runtime, const Value& value, const Value* begin, const Value* end,
            const Value* step) {
  switch (value.kind()) {
    case Kind::kUndefined:
      runtime.fail_undefined(value);
    case Kind::kString:
      return slice_string(runtime, value, begin, end, step);
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: {
      const Items iterated = iterate(runtime, value);
      const List<Value>& source = iterated.all();
      List<Value> items;
      const auto bounds =
          resolve_slice(runtime, static_cast<int64_t>(source.size()), begin, end, step);
      for (int64_t i = 0; i < slice_length(bounds); ++i) {
        items.push_back(source[static_cast<size_t>(bounds.begin + i * bounds.step)]);
      }
      return value.is(Kind::kTuple) ? runtime.tuple(std::move(items))
                                    : runtime.list(std::move(items));
    }
    default:
      runtime.fail(fmt::format("a '{}' can not be sliced", type_name(value)));
  }
}

int64_t length(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString: {
      const auto& object = value.as<StringObject>();
      if (!object.ascii) runtime.tick_scan(object.text);
      return static_cast<int64_t>(object.ascii ? object.text.size()
                                               : count_code_points(object.text));
    }
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      return static_cast<int64_t>(value.items().size());
    case Kind::kDict:
      return static_cast<int64_t>(value.as<DictObject>().entries.size());
    case Kind::kRange:
      return value.as<RangeObject>().size();
    case Kind::kLoop:
      return static_cast<int64_t>(value.as<LoopObject>().items->items.size());
    default:
      runtime.fail(fmt::format("object of type '{}' has no len()", type_name(value)));
  }
}

bool is_iterable(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
    case Kind::kDict:
    case Kind::kRange:
    case Kind::kGenerator:
    case Kind::kLoop:
      return true;
    default:
      return false;
  }
}

Items iterate(Runtime& runtime, const Value& value) {
  if (value.is_sequence() || value.is(Kind::kView)) {
    runtime.tick(1 + value.items().size());
    return Items(std::static_pointer_cast<const ListObject>(value.shared()));
  }
  List<Value> items;
  switch (value.kind()) {
    case Kind::kUndefined:
      break;
    case Kind::kString:
      for (size_t at = 0; at < value.text().size();) {
        const size_t bytes = decode_at(value.text(), at).length;
        items.push_back(runtime.string(value.text().substr(at, bytes)));  // of a safe text plain
        at += bytes;
      }
      break;
    case Kind::kDict:
      for (const auto& entry : value.as<DictObject>().entries) items.push_back(entry.first);
      break;
    case Kind::kRange: {
      const auto& range = value.as<RangeObject>();
      for (int64_t i = 0; i < range.size(); ++i) {
        items.push_back(Value::integer(range.start + i * range.step));
      }
      break;
    }
    case Kind::kGenerator: {
      auto& generator = value.as<GeneratorObject>();
      if (!generator.used) items = generator.items;
      generator.used = true;
      break;
    }
    case Kind::kLoop: {  // what is left of it
      const auto& loop = value.as<LoopObject>();
      const auto next =
          static_cast<std::ptrdiff_t>(std::min(loop.index + 1, loop.items->items.size()));
      items.assign(loop.items->items.begin() + next, loop.items->items.end());
      break;
    }
    default:
      runtime.fail(fmt::format("'{}' object is not iterable", type_name(value)));
  }
  const Value list = runtime.list(std::move(items));
  return Items(std::static_pointer_cast<const ListObject>(list.shared()));
}

}  // namespace gallop::text::jinja
