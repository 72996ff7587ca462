#include <cmath>
#include <limits>
#include <string>

#include <fmt/format.h>

#include "text/jinja/operators.h"
#include "text/jinja/printing.h"

namespace gallop::text::jinja {
namespace {

const char* symbol(Operator op) {
  switch (op) {
    case Operator::kAdd:
      return "+";
    case Operator::kSubtract:
      return "-";
    case Operator::kMultiply:
      return "*";
    case Operator::kDivide:
      return "/";
    case Operator::kFloorDivide:
      return "//";
    case Operator::kModulo:
      return "%";
    default:
      return "**";
  }
}

[[noreturn]] void fail_overflow(const Runtime& runtime, Operator op) {
  runtime.fail(fmt::format("the result of '{}' is beyond 64-bit integers", symbol(op)));
}

void check_defined(const Runtime& runtime, const Value& value) {
  if (value.is_undefined()) runtime.fail_undefined(value);
}

Value integer_power(const Runtime& runtime, int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) runtime.fail("0 can not be raised to a negative power");
    return Value::real(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  // 0, 1 and -1 never overflow: their exponent may be huge.
  if (base >= -1 && base <= 1) {
    return Value::integer(exponent == 0 ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base);
  }
  for (int64_t i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(result, base, &result)) fail_overflow(runtime, Operator::kPower);
  }
  return Value::integer(result);
}

// Python rounds quotients down and gives remainders the divisor's sign.
int64_t floor_divide(int64_t left, int64_t right) {
  const int64_t quotient = left / right;
  return left % right != 0 && (left < 0) != (right < 0) ? quotient - 1 : quotient;
}

Value integer_operation(const Runtime& runtime, Operator op, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Operator::kAdd:
      overflow = __builtin_add_overflow(left, right, &result);
      break;
    case Operator::kSubtract:
      overflow = __builtin_sub_overflow(left, right, &result);
      break;
    case Operator::kMultiply:
      overflow = __builtin_mul_overflow(left, right, &result);
      break;
    case Operator::kDivide:
      if (right == 0) runtime.fail("division by zero");
      return Value::real(static_cast<double>(left) / static_cast<double>(right));
    case Operator::kFloorDivide:
    case Operator::kModulo:
      if (right == 0) runtime.fail("integer division or modulo by zero");
      if (right == -1) {  // INT64_MIN / -1 overflows
        if (op == Operator::kModulo) return Value::integer(0);
        overflow = __builtin_sub_overflow(int64_t{0}, left, &result);
      } else if (op == Operator::kFloorDivide) {
        result = floor_divide(left, right);
      } else {
        result = left % right;
        if (result != 0 && (result < 0) != (right < 0)) result += right;
      }
      break;
    default:
      return integer_power(runtime, left, right);
  }
  if (overflow) fail_overflow(runtime, op);
  return Value::integer(result);
}

Value float_operation(const Runtime& runtime, Operator op, double left, double right) {
  switch (op) {
    case Operator::kAdd:
      return Value::real(left + right);
    case Operator::kSubtract:
      return Value::real(left - right);
    case Operator::kMultiply:
      return Value::real(left * right);
    case Operator::kPower: {
      if (left == 0 && right < 0) runtime.fail("0.0 can not be raised to a negative power");
      const double result = std::pow(left, right);
      if (std::isnan(result) && !std::isnan(left) && !std::isnan(right)) {
        runtime.fail("complex numbers are not supported");
      }
      if (std::isinf(result) && std::isfinite(left) && std::isfinite(right)) {
        runtime.fail("the result of '**' is too large for a float");
      }
      return Value::real(result);
    }
    default:
      break;
  }
  if (right == 0) runtime.fail("float division by zero");
  if (op == Operator::kDivide) return Value::real(left / right);
  // Source: CPython 3.11, Objects/floatobject.c, _float_div_mod.
  const double remainder = std::fmod(left, right);
  const bool other_sign = remainder != 0 && (remainder < 0) != (right < 0);
  if (op == Operator::kModulo) {
    const double modulo = other_sign ? remainder + right : remainder;
    return Value::real(modulo == 0 ? std::copysign(0.0, right) : modulo);
  }
  const double quotient = (left - remainder) / right - (other_sign ? 1.0 : 0.0);
  double floored = std::floor(quotient);
  if (quotient - floored > 0.5) floored += 1.0;
  return Value::real(quotient == 0 ? std::copysign(0.0, left / right) : floored);
}

// The bytes of `times` copies, if they fit.
size_t check_copies(const Runtime& runtime, size_t bytes, size_t times) {
  size_t total = 0;
  if (__builtin_mul_overflow(bytes, times, &total)) total = std::numeric_limits<size_t>::max();
  runtime.check_memory(total);
  return total;
}

Value repeat(Runtime& runtime, const Value& value, int64_t count) {
  const auto times = static_cast<size_t>(std::max<int64_t>(count, 0));
  if (value.is_string()) {
    const Text& text = value.text();
    Text out;
    out.reserve(check_copies(runtime, text.size(), times));
    for (size_t i = 0; !text.empty() && i < times; ++i) out += text;
    return runtime.string(std::move(out), value.is_safe());
  }
  const List<Value>& items = value.items();
  List<Value> out;
  out.reserve(check_copies(runtime, items.size() * sizeof(Value), times) / sizeof(Value));
  for (size_t i = 0; !items.empty() && i < times; ++i) {
    out.insert(out.end(), items.begin(), items.end());
  }
  return value.is(Kind::kList) ? runtime.list(std::move(out)) : runtime.tuple(std::move(out));
}

Value concatenate(Runtime& runtime, const Value& left, const Value& right) {
  List<Value> items;
  items.reserve(left.items().size() + right.items().size());
  items.insert(items.end(), left.items().begin(), left.items().end());
  items.insert(items.end(), right.items().begin(), right.items().end());
  return left.is(Kind::kList) ? runtime.list(std::move(items)) : runtime.tuple(std::move(items));
}

// Adding to what `safe` gave escapes the other side, as markupsafe does.
Value add_strings(Runtime& runtime, const Value& left, const Value& right) {
  if (left.is_safe() != right.is_safe()) {
    const Text plain = escape_html(left.is_safe() ? right.text() : left.text());
    return runtime.string(left.is_safe() ? left.text() + plain : plain + right.text(), true);
  }
  return runtime.string(left.text() + right.text(), left.is_safe());
}

}  // namespace

Text escape_html(std::string_view text) {
  Text out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

Value apply_binary(Runtime& runtime, Operator op, const Value& left, const Value& right) {
  runtime.tick();
  if (op == Operator::kModulo && left.is_string()) return format_percent(runtime, left, right);
  check_defined(runtime, left);
  check_defined(runtime, right);
  if (left.is_number() && right.is_number()) {
    if (left.is_integral() && right.is_integral()) {
      return integer_operation(runtime, op, left.as_int(), right.as_int());
    }
    return float_operation(runtime, op, left.as_float(), right.as_float());
  }
  if (op == Operator::kAdd) {
    if (left.is_string() && right.is_string()) return add_strings(runtime, left, right);
    if (left.is_sequence() && left.kind() == right.kind()) {
      return concatenate(runtime, left, right);
    }
  }
  if (op == Operator::kMultiply) {
    const bool left_repeats = left.is_string() || left.is_sequence();
    const bool right_repeats = right.is_string() || right.is_sequence();
    if (left_repeats && right.is_integral()) return repeat(runtime, left, right.as_int());
    if (right_repeats && left.is_integral()) return repeat(runtime, right, left.as_int());
  }
  if (op == Operator::kAdd && left.is_string()) {
    runtime.fail(fmt::format("can only concatenate str (not \"{}\") to str", type_name(right)));
  }
  runtime.fail(fmt::format("unsupported operand types for {}: '{}' and '{}'", symbol(op),
                           type_name(left), type_name(right)));
}

Value negate(Runtime& runtime, const Value& value) {
  check_defined(runtime, value);
  if (value.is(Kind::kFloat)) return Value::real(-value.as_float());
  if (!value.is_integral()) {
    runtime.fail(fmt::format("bad operand type for unary -: '{}'", type_name(value)));
  }
  return integer_operation(runtime, Operator::kSubtract, 0, value.as_int());
}

}  // namespace gallop::text::jinja
