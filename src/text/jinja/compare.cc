#include <cmath>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "text/jinja/operators.h"

namespace gallop::text::jinja {
namespace {

// -1, 0 or 1, or 2 for NaN. Integers and floats compare by exact value, as in Python.
int compare_numbers(const Value& left, const Value& right) {
  if (left.is_integral() && right.is_integral()) {
    return left.as_int() < right.as_int() ? -1 : left.as_int() > right.as_int() ? 1 : 0;
  }
  if (left.is(Kind::kFloat) && right.is_integral()) {
    const int reversed = compare_numbers(right, left);
    return reversed == 2 ? 2 : -reversed;
  }
  const double real = right.as_float();
  if (std::isnan(real) || std::isnan(left.as_float())) return 2;
  if (left.is(Kind::kFloat)) {
    return left.as_float() < real ? -1 : left.as_float() > real ? 1 : 0;
  }
  if (real >= 0x1p63) return -1;
  if (real < -0x1p63) return 1;
  const double whole = std::trunc(real);
  const auto integer = static_cast<int64_t>(whole);
  if (left.as_int() != integer) return left.as_int() < integer ? -1 : 1;
  return real > whole ? -1 : real < whole ? 1 : 0;
}

class Comparer {
 public:
  explicit Comparer(Runtime& runtime) : runtime_(runtime) {}

  bool equal(const Value& left, const Value& right);
  bool less(const Value& left, const Value& right);

 private:
  bool equal_items(const List<Value>& left, const List<Value>& right);
  bool equal_dicts(const DictObject& left, const DictObject& right);

  Runtime& runtime_;
  int32_t depth_ = 0;
};

bool Comparer::equal(const Value& left, const Value& right) {
  runtime_.tick();
  if (left.is_number() && right.is_number()) return compare_numbers(left, right) == 0;
  for (const auto& [big, other] : {std::pair(&left, &right), std::pair(&right, &left)}) {
    if (big->is(Kind::kBigInt) && other->is(Kind::kFloat)) {
      runtime_.fail(fmt::format("integer {} is beyond 64-bit integers", big->digits()));
    }
  }
  if (left.kind() != right.kind()) return false;
  const DepthGuard guard(runtime_, depth_, runtime_.limits().value_depth + 1);
  switch (left.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kBigInt:
      return left.digits() == right.digits();
    case Kind::kString:
      runtime_.tick_compare(left.text().size());
      return left.text() == right.text();
    case Kind::kList:
    case Kind::kTuple:
      return equal_items(left.items(), right.items());
    case Kind::kDict:
      return equal_dicts(left.as<DictObject>(), right.as<DictObject>());
    case Kind::kRange: {
      const auto& a = left.as<RangeObject>();
      const auto& b = right.as<RangeObject>();
      return a.size() == b.size() &&
             (a.size() == 0 || (a.start == b.start && (a.size() == 1 || a.step == b.step)));
    }
    default:
      return left.object() == right.object();
  }
}

bool Comparer::equal_items(const List<Value>& left, const List<Value>& right) {
  if (&left == &right) return true;
  if (left.size() != right.size()) return false;
  for (size_t i = 0; i < left.size(); ++i) {
    if (!equal(left[i], right[i])) return false;
  }
  return true;
}

bool Comparer::equal_dicts(const DictObject& left, const DictObject& right) {
  if (&left == &right) return true;
  if (left.entries.size() != right.entries.size()) return false;
  for (const auto& [key, value] : left.entries) {
    Text hash;
    if (!hash_key(key, hash)) return false;
    const Value* const other = right.find(hash);
    if (other == nullptr || !equal(value, *other)) return false;
  }
  return true;
}

bool Comparer::less(const Value& left, const Value& right) {
  runtime_.tick();
  if (left.is_number() && right.is_number()) return compare_numbers(left, right) == -1;
  if (left.is_string() && right.is_string()) {
    runtime_.tick_compare(left.text().size());
    return left.text() < right.text();  // bytes of UTF-8 order like code points
  }
  for (const Value* side : {&left, &right}) {
    if (side->is_undefined()) runtime_.fail_undefined(*side);
  }
  if (left.is_sequence() && left.kind() == right.kind()) {
    const DepthGuard guard(runtime_, depth_, runtime_.limits().value_depth + 1);
    const auto& a = left.items();
    const auto& b = right.items();
    for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
      if (!equal(a[i], b[i])) return less(a[i], b[i]);
    }
    return a.size() < b.size();
  }
  runtime_.fail(fmt::format("'<' not supported between instances of '{}' and '{}'", type_name(left),
                            type_name(right)));
}

}  // namespace

bool equal(Runtime& runtime, const Value& left, const Value& right) {
  return Comparer(runtime).equal(left, right);
}

bool less_than(Runtime& runtime, const Value& left, const Value& right) {
  return Comparer(runtime).less(left, right);
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString: {
      if (!item.is_string()) {
        runtime.fail(
            fmt::format("'in <string>' requires string as left operand, not {}", type_name(item)));
      }
      const Text& text = container.text();
      const Text& part = item.text();
      runtime.tick_scan(text);
      return part.empty() || memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
    }
    case Kind::kDict: {
      Text hash;
      if (!hash_key(item, hash)) {
        runtime.fail(fmt::format("unhashable type: '{}'", type_name(item)));
      }
      return container.as<DictObject>().find(hash) != nullptr;
    }
    default:
      break;
  }
  if (!is_iterable(container)) {
    runtime.fail(fmt::format("argument of type '{}' is not iterable", type_name(container)));
  }
  for (const Value& candidate : iterate(runtime, container)) {
    if (same_object(runtime, candidate, item) || equal(runtime, candidate, item)) return true;
  }
  return false;
}

bool apply_compare(Runtime& runtime, Operator op, const Value& left, const Value& right) {
  switch (op) {
    case Operator::kEqual:
      return equal(runtime, left, right);
    case Operator::kNotEqual:
      return !equal(runtime, left, right);
    case Operator::kLess:
      return less_than(runtime, left, right);
    case Operator::kGreater:
      return less_than(runtime, right, left);
    case Operator::kIn:
      return contains(runtime, right, left);
    case Operator::kNotIn:
      return !contains(runtime, right, left);
    default:
      break;
  }
  // <= and >=: as less or equal, which for numbers excludes NaN.
  const Value& low = op == Operator::kLessEqual ? left : right;
  const Value& high = op == Operator::kLessEqual ? right : left;
  return less_than(runtime, low, high) || equal(runtime, low, high);
}

}  // namespace gallop::text::jinja
