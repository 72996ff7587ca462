// Jinja's tests: what stands after `is`, and what select takes by name.
#include <unordered_map>

#include <fmt/format.h>

#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/string_methods.h"

namespace gallop::text::jinja {
namespace {

template <bool (*predicate)(const Value&)>
bool on_value(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "this test", arguments, {});
  return predicate(input);
}

bool is_defined(const Value& value) { return !value.is_undefined(); }
bool is_undefined(const Value& value) { return value.is_undefined(); }
bool is_none(const Value& value) { return value.is(Kind::kNone); }
bool is_boolean(const Value& value) { return value.is(Kind::kBool); }
bool is_true(const Value& value) { return value.is(Kind::kBool) && value.as_int() != 0; }
bool is_false(const Value& value) { return value.is(Kind::kBool) && value.as_int() == 0; }
bool is_integer(const Value& value) { return value.is(Kind::kInt) || value.is(Kind::kBigInt); }
bool is_float(const Value& value) { return value.is(Kind::kFloat); }
bool is_number(const Value& value) {  // Python's bool is one
  return value.is_number() || value.is(Kind::kBigInt);
}
bool is_string(const Value& value) { return value.is_string(); }
bool is_mapping(const Value& value) { return value.is(Kind::kDict); }
bool is_callable(const Value& value) { return value.is_callable(); }
bool is_escaped(const Value& value) { return value.is_safe(); }

// Has a length and can be subscripted; so says Jinja of undefined, too.
bool is_sequence(const Value& value) {
  return value.is_string() || value.is_sequence() || value.is(Kind::kDict) ||
         value.is(Kind::kRange) || value.is_undefined();
}

const Value& only(const Runtime& runtime, const Arguments& arguments) {
  if (arguments.positional.size() != 1 || !arguments.named.empty()) {
    runtime.fail("this test takes one argument");
  }
  return arguments.positional[0];
}

template <Operator op>
bool compare(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return apply_compare(runtime, op, input, only(runtime, arguments));
}

bool test_sameas(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return same_object(runtime, input, only(runtime, arguments));
}

int64_t modulo(Runtime& runtime, const Value& input, const Value& divisor) {
  const Value result = apply_binary(runtime, Operator::kModulo, input, divisor);
  if (result.is(Kind::kFloat)) {
    const double remainder = result.as_float();
    return remainder == 0 ? 0 : remainder == 1 ? 1 : -1;
  }
  if (!result.is_integral()) runtime.fail("this test needs a number");
  return result.as_int();
}

bool test_odd(Runtime& runtime, const Value& input, const Arguments&) {
  return modulo(runtime, input, Value::integer(2)) == 1;
}

bool test_even(Runtime& runtime, const Value& input, const Arguments&) {
  return modulo(runtime, input, Value::integer(2)) == 0;
}

bool test_divisibleby(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return modulo(runtime, input, only(runtime, arguments)) == 0;
}

bool test_lower(Runtime& runtime, const Value& input, const Arguments&) {
  return call_string_method(runtime, runtime.string(to_text(runtime, input)), "islower", {})
      .truth();
}

bool test_upper(Runtime& runtime, const Value& input, const Arguments&) {
  return call_string_method(runtime, runtime.string(to_text(runtime, input)), "isupper", {})
      .truth();
}

bool test_filter(Runtime& runtime, const Value& input, const Arguments&) {
  if (!input.is_string()) return false;
  runtime.tick_scan(input.text());
  return find_filter(input.text()) != nullptr;
}

bool test_test(Runtime& runtime, const Value& input, const Arguments&) {
  if (!input.is_string()) return false;
  runtime.tick_scan(input.text());
  return find_test(input.text()) != nullptr;
}

}  // namespace

Test find_test(std::string_view name) {
  static const std::unordered_map<std::string_view, Test> kTests = {
      {"!=", compare<Operator::kNotEqual>},
      {"<", compare<Operator::kLess>},
      {"<=", compare<Operator::kLessEqual>},
      {"==", compare<Operator::kEqual>},
      {">", compare<Operator::kGreater>},
      {">=", compare<Operator::kGreaterEqual>},
      {"boolean", on_value<is_boolean>},
      {"callable", on_value<is_callable>},
      {"defined", on_value<is_defined>},
      {"divisibleby", test_divisibleby},
      {"eq", compare<Operator::kEqual>},
      {"equalto", compare<Operator::kEqual>},
      {"escaped", on_value<is_escaped>},
      {"even", test_even},
      {"false", on_value<is_false>},
      {"filter", test_filter},
      {"float", on_value<is_float>},
      {"ge", compare<Operator::kGreaterEqual>},
      {"greaterthan", compare<Operator::kGreater>},
      {"gt", compare<Operator::kGreater>},
      {"in", compare<Operator::kIn>},
      {"integer", on_value<is_integer>},
      {"iterable", on_value<is_iterable>},
      {"le", compare<Operator::kLessEqual>},
      {"lessthan", compare<Operator::kLess>},
      {"lower", test_lower},
      {"lt", compare<Operator::kLess>},
      {"mapping", on_value<is_mapping>},
      {"ne", compare<Operator::kNotEqual>},
      {"none", on_value<is_none>},
      {"number", on_value<is_number>},
      {"odd", test_odd},
      {"sameas", test_sameas},
      {"sequence", on_value<is_sequence>},
      {"string", on_value<is_string>},
      {"test", test_test},
      {"true", on_value<is_true>},
      {"undefined", on_value<is_undefined>},
      {"upper", test_upper},
  };
  const auto found = kTests.find(name);
  return found == kTests.end() ? nullptr : found->second;
}

}  // namespace gallop::text::jinja
