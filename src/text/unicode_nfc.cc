#include "text/unicode_nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "text/unicode.h"

namespace gallop::text {
namespace {

using CodePoints = std::vector<utf8proc_int32_t>;

int combining_class(utf8proc_int32_t code) { return utf8proc_get_property(code)->combining_class; }

// Appends the full canonical decomposition of one character.
void decompose(CodePoints& out, char32_t code) {
  utf8proc_int32_t parts[32];  // a canonical decomposition has at most 4 characters
  int boundary_state = 0;
  const utf8proc_ssize_t count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts,
                                                         32, UTF8PROC_DECOMPOSE, &boundary_state);
  CHECK(count >= 0 && count <= 32);
  out.insert(out.end(), parts, parts + count);
}

// Sorts each run of characters of non-zero combining class by class, equal ones in place
// (Unicode 3.11, D109).
void reorder(CodePoints& codes) {
  const auto is_starter = [](utf8proc_int32_t code) { return combining_class(code) == 0; };
  auto begin = codes.begin();
  while (true) {
    begin = std::find_if_not(begin, codes.end(), is_starter);
    if (begin == codes.end()) return;
    const auto end = std::find_if(begin, codes.end(), is_starter);
    std::stable_sort(begin, end, [](utf8proc_int32_t left, utf8proc_int32_t right) {
      return combining_class(left) < combining_class(right);
    });
    begin = end;
  }
}

// Appends the NFC of a stretch without inert characters.
void append_nfc(std::string& out, std::string_view text, CodePoints& scratch) {
  scratch.clear();
  for (size_t position = 0; position < text.size();) {
    const Character character = character_at(text, position);
    decompose(scratch, character.code);
    position += character.length;
  }
  reorder(scratch);
  const utf8proc_ssize_t count =
      utf8proc_normalize_utf32(scratch.data(), static_cast<utf8proc_ssize_t>(scratch.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  CHECK(count >= 0);
  for (utf8proc_ssize_t i = 0; i < count; ++i) {
    append_utf8(out, static_cast<char32_t>(scratch[static_cast<size_t>(i)]));
  }
}

// First position at or after `position` of a character with (wanted) or without kNfcCheck.
size_t find_check(std::string_view text, size_t position, bool wanted) {
  const uint8_t* flags = char_flag_table();
  while (position < text.size()) {
    const Character character = character_at(text, position);
    if (((flags[character.code] & kNfcCheck) != 0) == wanted) break;
    position += character.length;
  }
  return position;
}

}  // namespace

bool is_surely_nfc(std::string_view text) { return find_check(text, 0, true) == text.size(); }

std::string to_nfc(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  CodePoints scratch;
  size_t copied = 0;
  while (copied < text.size()) {
    // Only characters with kNfcCheck change, and the one before them may be what they combine with.
    size_t begin = find_check(text, copied, true);
    const size_t end = find_check(text, begin, false);
    if (begin < end && begin > copied) {
      const Character base = character_before(text, begin);
      if ((char_flag_table()[base.code] & kNfcInert) == 0) begin -= base.length;
    }
    out.append(text, copied, begin - copied);
    append_nfc(out, text.substr(begin, end - begin), scratch);
    copied = end;
  }
  return out;
}

}  // namespace gallop::text
