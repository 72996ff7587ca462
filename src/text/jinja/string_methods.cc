#include "text/jinja/string_methods.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <unordered_map>

#include <fmt/format.h>

#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

using Method = Value (*)(Runtime&, const Value& self, const Arguments&);
using Optional = std::optional<Value>;

const Text& text_argument(const Runtime& runtime, std::string_view what, const Optional& value) {
  if (!value.has_value()) runtime.fail(fmt::format("{} needs an argument", what));
  if (!value->is_string()) {
    runtime.fail(fmt::format("{} needs a string, not {}", what, type_name(*value)));
  }
  return value->text();
}

int64_t int_argument(const Runtime& runtime, std::string_view what, const Optional& value,
                     int64_t absent) {
  if (!value.has_value() || value->is(Kind::kNone)) return absent;
  if (!value->is_integral()) {
    runtime.fail(fmt::format("{} needs an integer, not {}", what, type_name(*value)));
  }
  return value->as_int();
}

Value like(Runtime& runtime, const Value& self, std::string_view text) {
  return runtime.string(Text(text), self.is_safe());
}

template <Side side>
Value strip(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(runtime, "strip", arguments, {"chars"});
  const std::string_view text = self.text();
  runtime.tick_scan(text);
  if (!bound[0].has_value() || bound[0]->is(Kind::kNone)) {
    return like(runtime, self, strip_space(text, side));
  }
  const Text& set = text_argument(runtime, "strip", bound[0]);
  runtime.tick_scan(set);
  return like(runtime, self, strip_set(text, set, side));
}

// Runs of white space separate; `from_right` keeps the remainder on the left.
List<std::string_view> split_space(std::string_view text, int64_t limit, bool from_right) {
  List<std::string_view> words;
  text = strip_space(text, from_right ? Side::kRight : Side::kLeft);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<int64_t>(words.size()) >= limit) {
      words.push_back(strip_space(text, from_right ? Side::kRight : Side::kLeft));
      break;
    }
    if (from_right) {
      size_t begin = text.size();
      while (begin > 0) {
        const size_t previous = start_before(text, begin);
        if (is_space(decode_at(text, previous).code)) break;
        begin = previous;
      }
      words.push_back(text.substr(begin));
      text = strip_space(text.substr(0, begin), Side::kRight);
    } else {
      size_t end = 0;
      while (end < text.size()) {
        const Character point = decode_at(text, end);
        if (is_space(point.code)) break;
        end += point.length;
      }
      words.push_back(text.substr(0, end));
      text = strip_space(text.substr(end), Side::kLeft);
    }
  }
  if (from_right) std::reverse(words.begin(), words.end());
  return words;
}

Text reversed(std::string_view text) { return {text.rbegin(), text.rend()}; }

// The last match; linear, unlike std::string::rfind.
size_t find_last(std::string_view text, std::string_view part) {
  const size_t at = find_text(reversed(text), reversed(part));
  return at == std::string_view::npos ? at : text.size() - at - part.size();
}

List<std::string_view> split_by(std::string_view text, std::string_view separator, int64_t limit) {
  List<std::string_view> parts;
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t at = find_text(text, separator);
    if (at == std::string_view::npos) break;
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  parts.push_back(text);
  return parts;
}

List<std::string_view> split_by_from_right(std::string_view text, std::string_view separator,
                                           int64_t limit) {
  const Text backwards = reversed(text);
  const Text wanted = reversed(separator);
  List<std::string_view> parts;
  size_t at = 0;  // bytes from the end that are split off
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t found = find_text(backwards, wanted, at);
    if (found == std::string_view::npos) break;
    parts.push_back(text.substr(text.size() - found, found - at));
    at = found + separator.size();
  }
  parts.push_back(text.substr(0, text.size() - at));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool from_right>
Value split(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(runtime, "split", arguments, {"sep", "maxsplit"});
  const int64_t limit = int_argument(runtime, "split", bound[1], -1);
  const Text& text = self.text();
  runtime.tick_scan(text);
  List<std::string_view> parts;
  if (!bound[0].has_value() || bound[0]->is(Kind::kNone)) {
    parts = split_space(text, limit, from_right);
  } else {
    const Text& separator = text_argument(runtime, "split", bound[0]);
    if (separator.empty()) runtime.fail("split needs a separator that is not empty");
    parts =
        from_right ? split_by_from_right(text, separator, limit) : split_by(text, separator, limit);
  }
  List<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) items.push_back(like(runtime, self, part));
  return runtime.list(std::move(items));
}

Value split_lines(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(runtime, "splitlines", arguments, {"keepends"});
  const bool keep = bound[0].has_value() && bound[0]->truth();
  const std::string_view text = self.text();
  runtime.tick_scan(text);
  List<Value> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Character point = decode_at(text, at);
    const auto c = static_cast<uint32_t>(point.code);
    const bool ends = (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 ||
                      c == 0x2028 || c == 0x2029;
    size_t next = at + point.length;
    if (c == '\r' && next < text.size() && text[next] == '\n') ++next;
    if (ends) {
      lines.push_back(like(runtime, self, text.substr(begin, (keep ? next : at) - begin)));
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) lines.push_back(like(runtime, self, text.substr(begin)));
  return runtime.list(std::move(lines));
}

template <bool from_right>
Value partition(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(runtime, "partition", arguments, {"sep"});
  const Text& separator = text_argument(runtime, "partition", bound[0]);
  if (separator.empty()) runtime.fail("partition needs a separator that is not empty");
  const std::string_view text = self.text();
  runtime.tick_scan(text);
  const size_t at = from_right ? find_last(text, separator) : find_text(text, separator);
  if (at == std::string_view::npos) {
    const Value empty = like(runtime, self, "");
    return from_right ? runtime.tuple({empty, empty, self}) : runtime.tuple({self, empty, empty});
  }
  return runtime.tuple({like(runtime, self, text.substr(0, at)), like(runtime, self, separator),
                        like(runtime, self, text.substr(at + separator.size()))});
}

// The part of the text that [start, end) in characters selects; false when start lies beyond.
bool select_range(Runtime& runtime, const Value& self, const Optional& start, const Optional& end,
                  size_t& begin_byte, size_t& end_byte) {
  const Text& text = self.text();
  begin_byte = 0;
  end_byte = text.size();
  if (!start.has_value() && !end.has_value()) return true;
  runtime.tick_scan(text);
  const int64_t count = length(runtime, self);
  const auto clamp = [count](int64_t index) {
    return std::clamp<int64_t>(index < 0 ? std::max<int64_t>(index, -count) + count : index, 0,
                               count);
  };
  const int64_t first_given = int_argument(runtime, "the start", start, 0);
  const int64_t first = clamp(first_given);
  const int64_t last = clamp(int_argument(runtime, "the end", end, count));
  if (first_given > count || first > last) return false;
  int64_t index = 0;
  for (size_t at = 0; at <= text.size(); ++index) {
    if (index == first) begin_byte = at;
    if (index == last) end_byte = at;
    if (at == text.size()) break;
    at += decode_at(text, at).length;
  }
  return true;
}

template <bool at_start>
Value starts_or_ends(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound =
      bind(runtime, at_start ? "startswith" : "endswith", arguments, {"prefix", "start", "end"});
  size_t begin = 0;
  size_t end = 0;
  if (!select_range(runtime, self, bound[1], bound[2], begin, end)) return Value::boolean(false);
  const std::string_view text = std::string_view(self.text()).substr(begin, end - begin);
  const auto matches = [&](const Optional& part) {
    const Text& affix = text_argument(runtime, at_start ? "startswith" : "endswith", part);
    runtime.tick_compare(affix.size());
    return at_start ? text.starts_with(affix) : text.ends_with(affix);
  };
  if (bound[0].has_value() && bound[0]->is(Kind::kTuple)) {
    for (const Value& part : bound[0]->items()) {
      if (matches(part)) return Value::boolean(true);
    }
    return Value::boolean(false);
  }
  return Value::boolean(matches(bound[0]));
}

// The character index of the match, or -1.
template <bool from_right>
int64_t find_index(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(runtime, "find", arguments, {"sub", "start", "end"});
  const Text& part = text_argument(runtime, "find", bound[0]);
  size_t begin = 0;
  size_t end = 0;
  if (!select_range(runtime, self, bound[1], bound[2], begin, end)) return -1;
  runtime.tick_scan(self.text());
  const std::string_view text = std::string_view(self.text()).substr(begin, end - begin);
  const size_t at = from_right ? find_last(text, part) : find_text(text, part);
  if (at == std::string_view::npos) return -1;
  return static_cast<int64_t>(
      count_code_points(std::string_view(self.text()).substr(0, begin + at)));
}

template <bool from_right>
Value find(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return Value::integer(find_index<from_right>(runtime, self, arguments));
}

template <bool from_right>
Value index(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const int64_t found = find_index<from_right>(runtime, self, arguments);
  if (found < 0) runtime.fail("substring not found");
  return Value::integer(found);
}

Value count(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(runtime, "count", arguments, {"sub", "start", "end"});
  const Text& part = text_argument(runtime, "count", bound[0]);
  size_t begin = 0;
  size_t end = 0;
  if (!select_range(runtime, self, bound[1], bound[2], begin, end)) return Value::integer(0);
  const std::string_view text = std::string_view(self.text()).substr(begin, end - begin);
  runtime.tick_scan(text);
  if (part.empty()) return Value::integer(static_cast<int64_t>(count_code_points(text)) + 1);
  int64_t found = 0;
  for (size_t at = find_text(text, part); at != std::string_view::npos;
       at = find_text(text, part, at + part.size())) {
    runtime.tick();
    ++found;
  }
  return Value::integer(found);
}

Value replace(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(runtime, "replace", arguments, {"old", "new", "count"});
  return replace_text(runtime, self, text_argument(runtime, "replace", bound[0]),
                      text_argument(runtime, "replace", bound[1]),
                      int_argument(runtime, "replace", bound[2], -1));
}

Value join(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(runtime, "join", arguments, {"iterable"});
  if (!bound[0].has_value()) runtime.fail("join needs an argument");
  Text out;
  bool first = true;
  for (const Value& part : iterate(runtime, *bound[0])) {
    if (!part.is_string()) {
      runtime.fail(fmt::format("join: expected str, found {}", type_name(part)));
    }
    runtime.tick_compare(part.text().size() + self.text().size());
    if (!first) out += self.text();
    first = false;
    out += part.text();
  }
  return runtime.string(std::move(out), self.is_safe());
}

template <CaseMapping mapping>
Value case_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  bind(runtime, "a case method", arguments, {});
  return map_text(runtime, self, mapping);
}

// All characters have one of the flags, and there is one; str.isprintable holds of no characters.
template <int flags>
Value every(Runtime& runtime, const Value& self, const Arguments& arguments) {
  bind(runtime, "a test of characters", arguments, {});
  const Text& text = self.text();
  runtime.tick_scan(text);
  for (size_t at = 0; at < text.size();) {
    const Character point = decode_at(text, at);
    if ((str_flags(point.code) & flags) == 0) return Value::boolean(false);
    at += point.length;
  }
  return Value::boolean(!text.empty() || flags == kPrintable);
}

// isupper, islower: no cased character of another kind, and one of this kind.
template <int wanted>
Value cased(Runtime& runtime, const Value& self, const Arguments& arguments) {
  bind(runtime, "a test of case", arguments, {});
  const Text& text = self.text();
  runtime.tick_scan(text);
  bool seen = false;
  for (size_t at = 0; at < text.size();) {
    const Character point = decode_at(text, at);
    const int kind = str_flags(point.code) & (kUpper | kLower | kTitle);
    if ((kind & ~wanted) != 0) return Value::boolean(false);
    seen = seen || kind != 0;
    at += point.length;
  }
  return Value::boolean(seen);
}

Value is_ascii_method(Runtime&, const Value& self, const Arguments&) {
  return Value::boolean(self.as<StringObject>().ascii);
}

template <bool prefix>
Value remove_affix(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(runtime, "removeprefix", arguments, {"affix"});
  const Text& affix = text_argument(runtime, "removeprefix", bound[0]);
  runtime.tick_compare(affix.size());
  std::string_view text = self.text();
  if (prefix && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (!prefix && text.ends_with(affix)) text.remove_suffix(affix.size());
  return like(runtime, self, text);
}

// Characters that a text lacks of a width, which may be any integer.
int64_t missing_to(Runtime& runtime, const Value& text, int64_t width) {
  const int64_t there = length(runtime, text);
  return std::max(width, there) - there;
}

enum class Align { kLeft, kRight, kCenter };

template <Align align>
Value pad(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(runtime, "ljust, rjust or center", arguments, {"width", "fillchar"});
  const int64_t width = int_argument(runtime, "the width", bound[0], 0);
  const Text fill = bound[1].has_value() ? text_argument(runtime, "fillchar", bound[1]) : " ";
  if (count_code_points(fill) != 1) runtime.fail("the fill character must be one character");
  const int64_t missing = missing_to(runtime, self, width);
  runtime.check_memory(static_cast<size_t>(missing));
  // Source: CPython 3.11, Objects/unicodeobject.c, unicode_center_impl.
  const int64_t left = align == Align::kLeft    ? 0
                       : align == Align::kRight ? missing
                                                : missing / 2 + (missing & width & 1);
  Text out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += self.text();
  for (int64_t i = left; i < missing; ++i) out += fill;
  return runtime.string(std::move(out), self.is_safe());
}

Value zero_fill(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(runtime, "zfill", arguments, {"width"});
  const int64_t missing = missing_to(runtime, self, int_argument(runtime, "zfill", bound[0], 0));
  runtime.check_memory(static_cast<size_t>(missing));
  Text out = self.text();
  const bool sign = !out.empty() && (out[0] == '-' || out[0] == '+');
  out.insert(sign ? 1 : 0, static_cast<size_t>(missing), '0');
  return runtime.string(std::move(out), self.is_safe());
}

Value format(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return format_braces(runtime, self, arguments);
}

const std::unordered_map<std::string_view, Method>& methods() {
  // Null: Python has it, this has not.
  static const std::unordered_map<std::string_view, Method> kMethods = {
      {"capitalize", case_method<CaseMapping::kCapitalize>},
      {"casefold", case_method<CaseMapping::kCasefold>},
      {"center", pad<Align::kCenter>},
      {"count", count},
      {"encode", nullptr},
      {"endswith", starts_or_ends<false>},
      {"expandtabs", nullptr},
      {"find", find<false>},
      {"format", format},
      {"format_map", nullptr},
      {"index", index<false>},
      {"isalnum", every<kAlpha | kDecimal | kDigit | kNumeric>},
      {"isalpha", every<kAlpha>},
      {"isascii", is_ascii_method},
      {"isdecimal", every<kDecimal>},
      {"isdigit", every<kDigit>},
      {"isidentifier", nullptr},
      {"islower", cased<kLower>},
      {"isnumeric", every<kNumeric>},
      {"isprintable", every<kPrintable>},
      {"isspace", every<kBlank>},
      {"istitle", nullptr},
      {"isupper", cased<kUpper>},
      {"join", join},
      {"ljust", pad<Align::kLeft>},
      {"lower", case_method<CaseMapping::kLower>},
      {"lstrip", strip<Side::kLeft>},
      {"maketrans", nullptr},
      {"partition", partition<false>},
      {"removeprefix", remove_affix<true>},
      {"removesuffix", remove_affix<false>},
      {"replace", replace},
      {"rfind", find<true>},
      {"rindex", index<true>},
      {"rjust", pad<Align::kRight>},
      {"rpartition", partition<true>},
      {"rsplit", split<true>},
      {"rstrip", strip<Side::kRight>},
      {"split", split<false>},
      {"splitlines", split_lines},
      {"startswith", starts_or_ends<true>},
      {"strip", strip<Side::kBoth>},
      {"swapcase", case_method<CaseMapping::kSwapcase>},
      {"title", case_method<CaseMapping::kTitle>},
      {"translate", nullptr},
      {"upper", case_method<CaseMapping::kUpper>},
      {"zfill", zero_fill},
  };
  return kMethods;
}

}  // namespace

size_t find_text(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (part.empty()) return from;
  const void* const found =
      memmem(text.data() + from, text.size() - from, part.data(), part.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

Value map_text(Runtime& runtime, const Value& text, CaseMapping mapping) {
  runtime.tick_scan(text.text());
  Text out;
  map_case(text.text(), mapping, [&](std::string_view piece) { out += piece; });
  return runtime.string(std::move(out), text.is_safe());
}

Value replace_text(Runtime& runtime, const Value& text, std::string_view old_text,
                   std::string_view new_text, int64_t count) {
  const std::string_view source = text.text();
  int64_t left = count < 0 ? std::numeric_limits<int64_t>::max() : count;
  runtime.tick_scan(source);
  Text out;
  size_t at = 0;
  while (left > 0 && at <= source.size()) {
    const size_t found = find_text(source, old_text, at);
    if (found == std::string_view::npos) break;
    runtime.tick_compare(new_text.size());
    out += source.substr(at, found - at);
    out += new_text;
    at = found + old_text.size();
    if (old_text.empty()) {  // between all characters
      if (at >= source.size()) {
        at = source.size() + 1;
        break;
      }
      const size_t bytes = decode_at(source, at).length;
      out += source.substr(at, bytes);
      at += bytes;
    }
    --left;
  }
  if (at <= source.size()) out += source.substr(at);
  return runtime.string(std::move(out), text.is_safe());
}

bool is_string_method(std::string_view name) { return methods().contains(name); }

Value call_string_method(Runtime& runtime, const Value& self, std::string_view name,
                         const Arguments& arguments) {
  runtime.tick();
  const auto found = methods().find(name);
  if (found == methods().end() || found->second == nullptr) {
    runtime.fail(fmt::format("the string method '{}' is not supported", name));
  }
  return found->second(runtime, self, arguments);
}

}  // namespace gallop::text::jinja
