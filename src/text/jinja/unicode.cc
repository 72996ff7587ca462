#include "text/jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>

namespace gallop::text::jinja {
namespace {

utf8proc_category_t category(char32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

char32_t lower(char32_t code_point) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point)));
}

void append_upper(std::string& out, char32_t code_point) {
  if (code_point == 0xdf) {
    out += "SS";
    return;
  }
  append_utf8(out,
              static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code_point))));
}

// Calls visit(code point, its bytes) for each character.
template <typename Visitor>
void for_each(std::string_view text, Visitor visit) {
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = decode_at(text, at);
    visit(point.value, text.substr(at, point.bytes));
    at += point.bytes;
  }
}

// The last character's start.
size_t last_start(std::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xc0) == 0x80) --start;
  return start;
}

template <typename Predicate>
std::string_view strip_if(std::string_view text, Side side, Predicate drop) {
  if (side != Side::kRight) {
    while (!text.empty()) {
      const CodePoint first = decode_at(text, 0);
      if (!drop(first.value)) break;
      text.remove_prefix(first.bytes);
    }
  }
  if (side != Side::kLeft) {
    while (!text.empty()) {
      const size_t start = last_start(text);
      if (!drop(decode_at(text, start).value)) break;
      text = text.substr(0, start);
    }
  }
  return text;
}

}  // namespace

CodePoint decode_at(std::string_view text, size_t position) {
  const auto byte = [&](size_t offset) -> uint32_t {
    return position + offset < text.size() ? static_cast<unsigned char>(text[position + offset])
                                           : 0u;
  };
  const auto continues = [&](size_t offset) { return (byte(offset) & 0xc0u) == 0x80u; };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if ((lead & 0xe0u) == 0xc0u && continues(1)) {
    return {(lead & 0x1fu) << 6 | (byte(1) & 0x3fu), 2};
  }
  if ((lead & 0xf0u) == 0xe0u && continues(1) && continues(2)) {
    return {(lead & 0x0fu) << 12 | (byte(1) & 0x3fu) << 6 | (byte(2) & 0x3fu), 3};
  }
  if ((lead & 0xf8u) == 0xf0u && continues(1) && continues(2) && continues(3)) {
    return {
        (lead & 0x07u) << 18 | (byte(1) & 0x3fu) << 12 | (byte(2) & 0x3fu) << 6 | (byte(3) & 0x3fu),
        4};
  }
  return {0xfffd, 1};
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  const uint32_t c = code_point;
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0u | c >> 6);
    put(0x80u | (c & 0x3fu));
  } else if (c < 0x10000) {
    put(0xe0u | c >> 12);
    put(0x80u | (c >> 6 & 0x3fu));
    put(0x80u | (c & 0x3fu));
  } else {
    put(0xf0u | c >> 18);
    put(0x80u | (c >> 12 & 0x3fu));
    put(0x80u | (c >> 6 & 0x3fu));
    put(0x80u | (c & 0x3fu));
  }
}

bool is_valid_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t code_point = 0;
    const utf8proc_ssize_t used =
        utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
    if (used <= 0) return false;
    at += static_cast<size_t>(used);
  }
  return true;
}

bool is_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

size_t count_code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::vector<std::string_view> split_characters(std::string_view text) {
  std::vector<std::string_view> characters;
  characters.reserve(text.size());
  for_each(text, [&](char32_t, std::string_view bytes) { characters.push_back(bytes); });
  return characters;
}

// The set of Python's str.isspace: bidirectional class WS, B or S, or category Zs.
bool is_space(char32_t c) {
  if (c < 0x80) return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_printable(char32_t c) {
  if (c < 0x80) return c >= 0x20 && c != 0x7f;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_letter(char32_t c) {
  const utf8proc_category_t kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal_digit(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }
bool is_upper(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU; }
bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL; }

std::string_view strip_space(std::string_view text, Side side) {
  return strip_if(text, side, is_space);
}

std::string_view strip_set(std::string_view text, std::string_view set, Side side) {
  std::u32string members;
  for_each(set, [&](char32_t c, std::string_view) { members.push_back(c); });
  return strip_if(text, side, [&](char32_t c) { return members.find(c) != std::u32string::npos; });
}

std::string to_upper(std::string_view text) {
  std::string out;
  for_each(text, [&](char32_t c, std::string_view) { append_upper(out, c); });
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  for_each(text, [&](char32_t c, std::string_view) { append_utf8(out, lower(c)); });
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  for_each(text, [&](char32_t c, std::string_view) {
    if (out.empty()) {
      append_utf8(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
    } else {
      append_utf8(out, lower(c));
    }
  });
  return out;
}

std::string swap_case(std::string_view text) {
  std::string out;
  for_each(text, [&](char32_t c, std::string_view) {
    if (is_upper(c)) {
      append_utf8(out, lower(c));
    } else {
      append_upper(out, c);
    }
  });
  return out;
}

std::string title_case(std::string_view text) {
  std::string out;
  bool in_word = false;
  for_each(text, [&](char32_t c, std::string_view) {
    const bool cased = is_upper(c) || is_lower(c) || category(c) == UTF8PROC_CATEGORY_LT;
    if (in_word) {
      append_utf8(out, lower(c));
    } else {
      append_utf8(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
    }
    in_word = cased;
  });
  return out;
}

}  // namespace gallop::text::jinja
