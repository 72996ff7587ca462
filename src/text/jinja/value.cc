#include "text/jinja/value.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/check.h"
#include "text/jinja/runtime.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

// Objects of at most this many keys are searched without an index.
constexpr size_t kLinearKeys = 8;

bool has_hash(const Value& key, const Text& hash) {
  if (key.is_string())
    return hash.starts_with('s') && std::string_view(hash).substr(1) == key.text();
  Text own;
  return hash_key(key, own) && own == hash;
}

}  // namespace

Value Value::constant_string(std::string_view text) {
  auto object = make_metered<StringObject>();
  object->ascii = is_ascii(text);
  object->text = text;
  return Value(Kind::kString, std::move(object));
}

Value Value::big_integer(uint64_t value) {
  return Value(Kind::kBigInt, constant_string(std::to_string(value)).object_);
}

const Text& Value::digits() const {
  CHECK(kind_ == Kind::kBigInt);
  return as<StringObject>().text;
}

const Text& Value::text() const {
  CHECK(kind_ == Kind::kString);
  return as<StringObject>().text;
}

bool Value::is_safe() const { return kind_ == Kind::kString && as<StringObject>().safe; }

const List<Value>& Value::items() const {
  CHECK(is_sequence() || kind_ == Kind::kView);
  return as<ListObject>().items;
}

bool Value::truth() const {
  switch (kind_) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return integer_ != 0;
    case Kind::kFloat:
      return real_ != 0.0;
    case Kind::kString:
      return !text().empty();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      return !items().empty();
    case Kind::kDict:
      return !as<DictObject>().entries.empty();
    case Kind::kRange:
      return as<RangeObject>().size() > 0;
    case Kind::kLoop:
      return !as<LoopObject>().items->items.empty();
    default:
      return true;
  }
}

size_t DictObject::position(const Text& key) const {
  if (entries.size() > kLinearKeys) {
    const auto found = index_.find(key);
    return found == index_.end() ? entries.size() : found->second;
  }
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const auto& entry) { return has_hash(entry.first, key); });
  return static_cast<size_t>(found - entries.begin());
}

const Value* DictObject::find(const Text& key) const {
  const size_t place = position(key);
  return place < entries.size() ? &entries[place].second : nullptr;
}

const Value* DictObject::find_text(std::string_view text) const {
  if (entries.size() > kLinearKeys) return find(Text("s").append(text));
  for (const auto& [key, value] : entries) {
    if (key.is_string() && key.text() == text) return &value;
  }
  return nullptr;
}

void DictObject::set(Text hash, Value key, Value value) {
  const size_t place = position(hash);
  if (place < entries.size()) {
    entries[place].second = std::move(value);
    return;
  }
  entries.emplace_back(std::move(key), std::move(value));
  if (entries.size() == kLinearKeys + 1) {
    for (size_t i = 0; i < place; ++i) {
      Text earlier;
      hash_key(entries[i].first, earlier);
      index_.emplace(std::move(earlier), i);
    }
  }
  if (entries.size() > kLinearKeys) index_.emplace(std::move(hash), place);
}

int64_t RangeObject::size() const {
  const __int128 span =
      step > 0 ? static_cast<__int128>(stop) - start : static_cast<__int128>(start) - stop;
  const __int128 stride = step > 0 ? static_cast<__int128>(step) : -static_cast<__int128>(step);
  return span > 0 ? static_cast<int64_t>((span - 1) / stride + 1) : 0;
}

Value* NamespaceObject::find(std::string_view name) {
  for (auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

const char* type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kBigInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return value.is_safe() ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kView:
      return value.as<ListObject>().view_name;
    case Kind::kRange:
      return "range";
    case Kind::kGenerator:
      return "generator";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kMacro:
      return "Macro";
    case Kind::kFunction:
      return "function";
    case Kind::kMethod:
      return "builtin_function_or_method";
    case Kind::kCycler:
      return "Cycler";
    case Kind::kJoiner:
      return "Joiner";
  }
  return "object";
}

bool hash_key(const Value& value, Text& out) {
  // Tuples nest and share, so that their text could double with each level.
  constexpr size_t kMaxKeyBytes = 1 << 20;
  if (out.size() > kMaxKeyBytes) return false;
  switch (value.kind()) {
    case Kind::kUndefined:
      out += 'u';
      return true;
    case Kind::kNone:
      out += '0';
      return true;
    case Kind::kBool:
    case Kind::kInt:
      out += fmt::format("n{}", value.as_int());
      return true;
    case Kind::kBigInt:
      out += 'n';
      out += value.digits();
      return true;
    case Kind::kFloat: {
      const double number = value.as_float();
      // Whole numbers of int64's range hash as that integer.
      if (std::abs(number) < 0x1p63 && std::trunc(number) == number) {
        out += fmt::format("n{}", static_cast<int64_t>(number));
      } else {
        out += fmt::format("f{}", number);
      }
      return true;
    }
    case Kind::kString:
      out += 's';
      out += value.text();
      return true;
    case Kind::kTuple:
      out += 't';
      for (const Value& item : value.items()) {
        Text part;
        if (!hash_key(item, part)) return false;
        out += fmt::format("{}:", part.size());
        out += part;
      }
      return out.size() <= kMaxKeyBytes;
    default:
      return false;
  }
}

bool same_object(Runtime& runtime, const Value& left, const Value& right) {
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::kNone:
      return true;
    case Kind::kBool:
    case Kind::kInt:
      return left.as_int() == right.as_int();
    case Kind::kBigInt:
      return left.digits() == right.digits();
    case Kind::kFloat:
      return false;
    case Kind::kString:
      runtime.tick_compare(left.text().size());
      return left.text() == right.text();  // Python interns the short ones
    default:
      return left.object() != nullptr && left.object() == right.object();
  }
}

}  // namespace gallop::text::jinja
