// Python's str over UTF-8: what it says of a character, its case mappings and its white space, to
// the letter, so that templates give the text they give in Jinja2. The table has Python 3.11's
// Unicode (14); tools/make_unicode_tables.py writes it. UTF-8 itself is unicode.h's.
// Every input is valid UTF-8 (templates and JSON are checked when they come in); an invalid byte
// counts as one character and reads as U+FFFD.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "text/unicode.h"

namespace gallop::text {

// Bits of one code point: str.isalpha and so on of that one character.
enum StrFlags : uint16_t {
  kAlpha = 1,
  kDecimal = 2,
  kDigit = 4,
  kNumeric = 8,
  kUpper = 16,
  kLower = 32,
  kTitle = 64,  // category Lt
  kCaseIgnorable = 128,
  kPrintable = 256,
  kBlank = 512,
  kExpands = 1024,  // some mapping makes several characters of it
};
uint16_t str_flags(char32_t c);

inline bool is_space(char32_t c) { return (str_flags(c) & kBlank) != 0; }
inline bool is_alphanumeric(char32_t c) {
  return (str_flags(c) & (kAlpha | kDecimal | kDigit | kNumeric)) != 0;
}

// The character that starts at `position` < text.size().
Character decode_at(std::string_view text, size_t position);
bool is_ascii(std::string_view text);
size_t count_code_points(std::string_view text);
// Where the character that ends at `end` > 0 begins.
size_t start_before(std::string_view text, size_t end);

enum class Side { kLeft, kRight, kBoth };
// str.strip, lstrip, rstrip without an argument.
std::string_view strip_space(std::string_view text, Side side);
// The same with the set of characters in `set`; linear in both.
std::string_view strip_set(std::string_view text, std::string_view set, Side side);

// The case methods of str hand the mapped text out in pieces.
using TextSink = std::function<void(std::string_view)>;
enum class CaseMapping { kLower, kUpper, kTitle, kCasefold, kCapitalize, kSwapcase };
void map_case(std::string_view text, CaseMapping mapping, const TextSink& put);

}  // namespace gallop::text
