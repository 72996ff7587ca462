#include "text/unicode.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace gallop::text {
namespace {

constexpr size_t kCodePoints = 0x110000;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Runs of equal flags: first code point << 8 | flags.
constexpr uint32_t kRuns[] = {
#include "text/unicode_tables.inc"
};

std::vector<uint8_t> expand_runs() {
  std::vector<uint8_t> flags(kCodePoints);
  for (size_t run = 0; run < std::size(kRuns); ++run) {
    const size_t end = run + 1 < std::size(kRuns) ? kRuns[run + 1] >> 8 : kCodePoints;
    std::fill(flags.begin() + (kRuns[run] >> 8), flags.begin() + static_cast<ptrdiff_t>(end),
              static_cast<uint8_t>(kRuns[run] & 0xFF));
  }
  return flags;
}

// Length of the sequence that `lead` opens (0: none does) and the bounds of its second byte.
// Source: The Unicode Standard, table 3-7.
struct Lead {
  size_t length;
  uint8_t second_min = 0x80;
  uint8_t second_max = 0xBF;
};

Lead classify_lead(uint8_t lead) {
  if (lead < 0x80) return {1};
  if (lead < 0xC2 || lead > 0xF4) return {0};
  if (lead < 0xE0) return {2};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {4};
}

}  // namespace

const uint8_t* char_flag_table() {
  static const std::vector<uint8_t> table = expand_runs();
  return table.data();
}

Utf8Step utf8_step(std::string_view bytes) {
  const Lead lead = classify_lead(static_cast<uint8_t>(bytes[0]));
  if (lead.length == 0) return {Utf8Status::kInvalid, 1};
  for (size_t i = 1; i < lead.length; ++i) {
    if (i == bytes.size()) return {Utf8Status::kIncomplete, i};
    const auto byte = static_cast<uint8_t>(bytes[i]);
    const uint8_t least = i == 1 ? lead.second_min : 0x80;
    const uint8_t most = i == 1 ? lead.second_max : 0xBF;
    if (byte < least || byte > most) return {Utf8Status::kInvalid, i};
  }
  return {Utf8Status::kCharacter, lead.length};
}

Character character_before(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while ((static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  return character_at(text, begin);
}

void append_utf8(std::string& out, char32_t code) {
  const auto push = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return push(code);
  if (code < 0x800) {
    push(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    push(0xE0 | code >> 12);
    push(0x80 | (code >> 6 & 0x3F));
  } else {
    push(0xF0 | code >> 18);
    push(0x80 | (code >> 12 & 0x3F));
    push(0x80 | (code >> 6 & 0x3F));
  }
  push(0x80 | (code & 0x3F));
}

bool is_valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    if (static_cast<uint8_t>(bytes[0]) < 0x80) {
      bytes.remove_prefix(1);
      continue;
    }
    const Utf8Step step = utf8_step(bytes);
    if (step.status != Utf8Status::kCharacter) return false;
    bytes.remove_prefix(step.length);
  }
  return true;
}

size_t append_lossy_utf8(std::string& out, std::string_view bytes, bool at_end) {
  size_t used = 0;
  while (used < bytes.size()) {
    const Utf8Step step = utf8_step(bytes.substr(used));
    if (step.status == Utf8Status::kCharacter) {
      out.append(bytes, used, step.length);
    } else if (step.status == Utf8Status::kInvalid || at_end) {
      out.append(kReplacement);
    } else {
      break;
    }
    used += step.length;
  }
  return used;
}

}  // namespace gallop::text
