// Filters on one text or number.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <unordered_map>

#include <fmt/format.h>

#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/string_methods.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

using Optional = std::optional<Value>;

// soft_str: strings stay as they are, everything else by str().
Value as_string(Runtime& runtime, const Value& value) {
  return value.is_string() ? value : runtime.string(to_text(runtime, value));
}

// Filters that take texts alone fail for all else.
void check_string(const Runtime& runtime, std::string_view filter, const Value& value) {
  if (!value.is_string()) {
    runtime.fail(fmt::format("{} needs a string, not {}", filter, type_name(value)));
  }
}

int64_t int_or(const Runtime& runtime, std::string_view what, const Optional& value,
               int64_t absent) {
  if (!value.has_value() || value->is(Kind::kNone)) return absent;
  if (!value->is_integral()) {
    runtime.fail(fmt::format("{} must be an integer, not {}", what, type_name(*value)));
  }
  return value->as_int();
}

bool flag(const Optional& value, bool absent) {
  return value.has_value() ? value->truth() : absent;
}

Value map_method(Runtime& runtime, const Value& input, const char* method) {
  return call_string_method(runtime, as_string(runtime, input), method, {});
}

Value filter_upper(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "upper", arguments, {});
  return map_method(runtime, input, "upper");
}

Value filter_lower(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "lower", arguments, {});
  return map_method(runtime, input, "lower");
}

Value filter_capitalize(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "capitalize", arguments, {});
  return map_method(runtime, input, "capitalize");
}

// Words begin behind white space and behind - ( { [ <. Each is mapped for itself, as in Jinja.
Value filter_title(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "title", arguments, {});
  const Value value = as_string(runtime, input);
  const std::string_view text = value.text();
  runtime.tick_scan(text);
  Text out;
  const TextSink put = [&](std::string_view piece) { out += piece; };
  const auto separates = [](char32_t c) {
    return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  for (size_t at = 0; at < text.size();) {
    runtime.tick();
    const size_t first_end = at + decode_at(text, at).length;
    const bool word = !separates(decode_at(text, at).code);
    size_t end = first_end;
    while (word && end < text.size() && !separates(decode_at(text, end).code)) {
      end += decode_at(text, end).length;
    }
    map_case(text.substr(at, first_end - at), CaseMapping::kUpper, put);
    map_case(text.substr(first_end, end - first_end), CaseMapping::kLower, put);
    at = end;
  }
  return runtime.string(std::move(out), value.is_safe());
}

Value filter_trim(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "trim", arguments, {"chars"});
  Arguments strip;
  if (bound[0].has_value()) strip.positional.push_back(*bound[0]);
  return call_string_method(runtime, as_string(runtime, input), "strip", strip);
}

Value filter_string(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "string", arguments, {});
  return as_string(runtime, input);
}

Value filter_safe(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "safe", arguments, {});
  if (input.is_safe()) return input;
  return runtime.string(to_text(runtime, input), true);
}

Value filter_escape(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "escape", arguments, {});
  if (input.is_safe()) return input;
  return runtime.string(escape_html(to_text(runtime, input)), true);
}

Value filter_replace(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "replace", arguments, {"old", "new", "count"});
  if (!bound[0].has_value() || !bound[1].has_value()) {
    runtime.fail("replace needs what to replace and by what");
  }
  return replace_text(runtime, runtime.string(to_text(runtime, input)), to_text(runtime, *bound[0]),
                      to_text(runtime, *bound[1]), int_or(runtime, "count", bound[2], -1));
}

Value filter_indent(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "indent", arguments, {"width", "first", "blank"});
  check_string(runtime, "indent", input);
  Text indention;
  if (bound[0].has_value() && bound[0]->is_string()) {
    indention = bound[0]->text();
  } else {
    const int64_t width = std::max<int64_t>(int_or(runtime, "width", bound[0], 4), 0);
    indention.assign(static_cast<size_t>(width), ' ');
  }
  const Value lines =
      call_string_method(runtime, runtime.string(input.text() + "\n"), "splitlines", {});
  Text out;
  if (flag(bound[1], false)) out = indention;
  bool first = true;
  for (const Value& line : lines.items()) {
    runtime.tick_compare(indention.size() + line.text().size());
    if (!first) {
      out += "\n";
      if (flag(bound[2], false) || !line.text().empty()) out += indention;
    }
    first = false;
    out += line.text();
  }
  return runtime.string(std::move(out), input.is_safe());
}

Value filter_truncate(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "truncate", arguments, {"length", "killwords", "end", "leeway"});
  const int64_t limit = int_or(runtime, "length", bound[0], 255);
  const Value end = bound[2].value_or(Value::constant_string("..."));
  const int64_t leeway = int_or(runtime, "leeway", bound[3], 5);
  const int64_t end_length = length(runtime, end);
  if (limit < end_length) runtime.fail("truncate: the length is less than that of the end");
  if (leeway < 0) runtime.fail("truncate: the leeway is negative");
  if (length(runtime, input) - limit <= leeway) return input;  // lists too, as in jinja2
  check_string(runtime, "truncate", input);
  const Value stop = Value::integer(limit - end_length);
  const Value cut = slice(runtime, input, nullptr, &stop, nullptr);
  std::string_view text = cut.text();
  if (!flag(bound[1], false)) text = text.substr(0, text.rfind(' '));
  return runtime.string(Text(text) + end.text(), input.is_safe());
}

Value filter_wordcount(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "wordcount", arguments, {});
  const Text text = to_text(runtime, input);
  runtime.tick_scan(text);
  int64_t words = 0;
  bool in_word = false;
  for (size_t at = 0; at < text.size();) {
    const Character point = decode_at(text, at);
    const bool is_word = is_alphanumeric(point.code) || point.code == '_';
    if (is_word && !in_word) ++words;
    in_word = is_word;
    at += point.length;
  }
  return Value::integer(words);
}

Value filter_center(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "center", arguments, {"width"});
  Arguments width;
  width.positional.push_back(bound[0].value_or(Value::integer(80)));
  return call_string_method(runtime, as_string(runtime, input), "center", width);
}

Value filter_format(Runtime& runtime, const Value& input, const Arguments& arguments) {
  if (!arguments.named.empty() && !arguments.positional.empty()) {
    runtime.fail("format takes positional or named arguments, not both");
  }
  const Value format = as_string(runtime, input);
  if (arguments.named.empty()) {
    return format_percent(runtime, format, runtime.tuple(arguments.positional));
  }
  List<std::pair<Value, Value>> entries;
  for (const auto& [name, value] : arguments.named) {
    entries.emplace_back(runtime.string(Text(name)), value);
  }
  return format_percent(runtime, format, runtime.dict(std::move(entries)));
}

void read_separators(const Runtime& runtime, const Value& value, JsonStyle& style) {
  if (!value.is_sequence() || value.items().size() != 2 || !value.items()[0].is_string() ||
      !value.items()[1].is_string()) {
    runtime.fail("tojson: separators must be two strings");
  }
  style.item_separator = value.items()[0].text();
  style.key_separator = value.items()[1].text();
}

// Source: transformers, utils/chat_template_utils.py, tojson: json.dumps with ensure_ascii off.
Value filter_tojson(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound =
      bind(runtime, "tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = flag(bound[0], false);
  style.sort_keys = flag(bound[3], false);
  if (bound[1].has_value() && !bound[1]->is(Kind::kNone)) {
    style.multiline = true;
    style.item_separator = ",";
    if (bound[1]->is_string()) {
      style.indent = bound[1]->text();
    } else {
      const int64_t width = std::max<int64_t>(int_or(runtime, "indent", bound[1], 0), 0);
      style.indent.assign(static_cast<size_t>(width), ' ');
    }
  }
  if (bound[2].has_value() && !bound[2]->is(Kind::kNone)) {
    read_separators(runtime, *bound[2], style);
  }
  return runtime.string(to_json(runtime, input, style));
}

// Python's int(text, base): white space around, a sign, single underscores between digits.
std::optional<int64_t> parse_int(Runtime& runtime, std::string_view text, int base) {
  runtime.tick_scan(text);
  Text digits;
  text = strip_space(text, Side::kBoth);
  const bool negative = text.starts_with('-');
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text.size() > 2 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (marked != 0 && (base == marked || base == 0)) {
      text.remove_prefix(2);
      base = marked;
    }
  }
  if (base == 0) base = 10;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits.push_back(text[i]);
    } else if (i == 0 || i + 1 == text.size() || text[i - 1] == '_') {
      return std::nullopt;
    }
  }
  if (digits.empty() || digits[0] == '-') return std::nullopt;
  if (negative) digits.insert(0, "-");
  int64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
  if (stop != end || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    runtime.fail(fmt::format("integer {} is beyond 64 bits", digits.substr(0, 40)));
  }
  return value;
}

std::optional<double> parse_float(Runtime& runtime, std::string_view text) {
  runtime.tick_scan(text);
  const Text trimmed(strip_space(text, Side::kBoth));
  // strtod also takes hexadecimal floats and nan(...), Python does not.
  if (trimmed.empty() || trimmed.find_first_of("xXpP(") != Text::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(trimmed.c_str(), &end);
  if (end != trimmed.c_str() + trimmed.size()) return std::nullopt;
  return value;
}

std::optional<double> to_float(Runtime& runtime, const Value& value) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  if (value.is_number()) return value.as_float();
  if (value.is(Kind::kBigInt)) return parse_float(runtime, value.digits());
  if (value.is_string()) return parse_float(runtime, value.text());
  return std::nullopt;
}

Value filter_int(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "int", arguments, {"default", "base"});
  const Value fallback = bound[0].value_or(Value::integer(0));
  if (input.is(Kind::kBigInt)) return input;
  if (input.is_integral()) return Value::integer(input.as_int());
  if (input.is_string()) {
    const int64_t base = int_or(runtime, "base", bound[1], 10);
    if (base != 0 && (base < 2 || base > 36)) return fallback;
    if (const auto value = parse_int(runtime, input.text(), static_cast<int>(base))) {
      return Value::integer(*value);
    }
  }
  const std::optional<double> number = to_float(runtime, input);
  if (!number.has_value() || !std::isfinite(*number)) return fallback;
  if (std::abs(*number) >= 0x1p63) runtime.fail("a float is beyond 64-bit integers");
  return Value::integer(static_cast<int64_t>(*number));
}

Value filter_float(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "float", arguments, {"default"});
  const std::optional<double> number = to_float(runtime, input);
  return number.has_value() ? Value::real(*number) : bound[0].value_or(Value::real(0));
}

Value filter_abs(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "abs", arguments, {});
  if (!input.is_number()) {
    runtime.fail(fmt::format("bad operand type for abs(): '{}'", type_name(input)));
  }
  if (input.is(Kind::kFloat)) return Value::real(std::abs(input.as_float()));
  return input.as_int() < 0 ? negate(runtime, input) : Value::integer(input.as_int());
}

// Python's round: to nearest of the exact binary value, ties to even, which is what printf does.
double round_digits(double value, int64_t digits) {
  if (!std::isfinite(value) || digits > 300) return value;
  if (digits >= 0) {
    return std::strtod(fmt::format("{:.{}f}", value, digits).c_str(), nullptr);
  }
  if (digits < -308) return std::copysign(0.0, value);  // the power is more than any double
  const double scale = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(value / scale) * scale;
}

// Python's round of an integer to a power of ten: to nearest, ties to even.
Value round_integer(Runtime& runtime, int64_t value, int64_t digits) {
  if (digits >= 0) return Value::integer(value);
  if (digits < -19) return Value::integer(0);  // half of the power is more than any integer
  __int128 power = 1;
  for (int64_t digit = digits; digit < 0; ++digit) power *= 10;
  const __int128 below = (value % power + power) % power;
  const __int128 low = value - below;
  const bool up = 2 * below > power || (2 * below == power && low / power % 2 != 0);
  const __int128 rounded = up ? low + power : low;
  if (rounded != static_cast<int64_t>(rounded)) {
    runtime.fail("the result of round is beyond 64-bit integers");
  }
  return Value::integer(static_cast<int64_t>(rounded));
}

Value filter_round(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "round", arguments, {"precision", "method"});
  if (!input.is_number()) {
    runtime.fail(fmt::format("round needs a number, not {}", type_name(input)));
  }
  const int64_t digits = int_or(runtime, "precision", bound[0], 0);
  const Text method = bound[1].has_value() ? to_text(runtime, *bound[1]) : "common";
  if (method == "common") {
    return input.is_integral() ? round_integer(runtime, input.as_int(), digits)
                               : Value::real(round_digits(input.as_float(), digits));
  }
  if (method != "ceil" && method != "floor") {
    runtime.fail("round: the method must be common, ceil or floor");
  }
  if (input.is_integral() && digits >= 0) return Value::real(input.as_float());
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const double scaled = input.as_float() * scale;
  if (scale == 0 || !std::isfinite(scale) || !std::isfinite(scaled)) {
    runtime.fail("round: the precision is more than a float can do");
  }
  return Value::real((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value filter_default(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "default", arguments, {"default_value", "boolean"});
  const bool replaces = input.is_undefined() || (flag(bound[1], false) && !input.truth());
  return replaces ? bound[0].value_or(Value::constant_string("")) : input;
}

}  // namespace

Filter find_text_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, Filter> kFilters = {
      {"abs", filter_abs},         {"capitalize", filter_capitalize},
      {"center", filter_center},   {"d", filter_default},
      {"default", filter_default}, {"e", filter_escape},
      {"escape", filter_escape},   {"float", filter_float},
      {"format", filter_format},   {"indent", filter_indent},
      {"int", filter_int},         {"lower", filter_lower},
      {"replace", filter_replace}, {"round", filter_round},
      {"safe", filter_safe},       {"string", filter_string},
      {"title", filter_title},     {"tojson", filter_tojson},
      {"trim", filter_trim},       {"truncate", filter_truncate},
      {"upper", filter_upper},     {"wordcount", filter_wordcount},
  };
  const auto found = kFilters.find(name);
  return found == kFilters.end() ? nullptr : found->second;
}

}  // namespace gallop::text::jinja
