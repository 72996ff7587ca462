// Code points inside UTF-8 strings, as Python's str sees them: lengths, white space, case, classes.
// Every input is valid UTF-8 (templates and JSON are checked when they come in); an invalid byte
// counts as one character and is passed through.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gallop::text::jinja {

struct CodePoint {
  char32_t value = 0;
  size_t bytes = 1;
};

// The character that starts at `position` < text.size().
CodePoint decode_at(std::string_view text, size_t position);
void append_utf8(std::string& out, char32_t code_point);
bool is_valid_utf8(std::string_view text);
bool is_ascii(std::string_view text);

size_t count_code_points(std::string_view text);
// One view per character.
std::vector<std::string_view> split_characters(std::string_view text);

// Python's str.isspace for one character.
bool is_space(char32_t code_point);
// Characters that Python's repr shows as they are.
bool is_printable(char32_t code_point);
bool is_letter(char32_t code_point);
bool is_decimal_digit(char32_t code_point);
bool is_upper(char32_t code_point);
bool is_lower(char32_t code_point);

enum class Side { kLeft, kRight, kBoth };
// str.strip, lstrip, rstrip without an argument.
std::string_view strip_space(std::string_view text, Side side);
// The same with the set of characters in `set`.
std::string_view strip_set(std::string_view text, std::string_view set, Side side);

// Simple (one to one) case mappings, and U+00DF to "SS", as the language's templates need them.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
// First character upper, the rest lower.
std::string capitalize(std::string_view text);
std::string swap_case(std::string_view text);
// str.title: every run of letters is capitalised.
std::string title_case(std::string_view text);

}  // namespace gallop::text::jinja
