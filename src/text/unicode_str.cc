#include "text/unicode_str.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

namespace gallop::text {
namespace {

struct CharRecord {
  uint16_t flags;
  int32_t deltas[4];  // kLower, kUpper, kTitle, kCasefold
};

struct Expansion {
  uint32_t key;
  char32_t parts[3];  // the unused ones are 0
};

#include "text/unicode_str_tables.inc"

constexpr size_t kCodePoints = 0x110000;
constexpr char32_t kSigma = 0x3A3;
constexpr char32_t kSmallSigma = 0x3C3;
constexpr char32_t kFinalSigma = 0x3C2;

std::vector<uint16_t> expand_runs() {
  std::vector<uint16_t> records(kCodePoints);
  for (size_t run = 0; run < std::size(kRecordRuns); ++run) {
    const size_t end = run + 1 < std::size(kRecordRuns) ? kRecordRuns[run + 1] >> 10 : kCodePoints;
    std::fill(records.begin() + (kRecordRuns[run] >> 10),
              records.begin() + static_cast<ptrdiff_t>(end),
              static_cast<uint16_t>(kRecordRuns[run] & 0x3FF));
  }
  return records;
}

const CharRecord& record_of(char32_t c) {
  static const std::vector<uint16_t> records = expand_runs();
  return kRecords[c < kCodePoints ? records[c] : records[0xFFFD]];
}

bool is_cased(char32_t c) { return (str_flags(c) & (kUpper | kLower | kTitle)) != 0; }

class CaseWriter {
 public:
  CaseWriter(std::string_view text, const TextSink& put) : text_(text), put_(put) {}

  void write(CaseMapping mapping);

 private:
  void map(char32_t c, CaseMapping mapping);
  void put(char32_t c);
  bool ends_word(size_t at) const;

  std::string_view text_;
  const TextSink& put_;
  size_t at_ = 0;  // of the current character
  std::string piece_;
};

void CaseWriter::put(char32_t c) {
  piece_.clear();
  append_utf8(piece_, c);
  put_(piece_);
}

// Source: CPython 3.11, Objects/unicodeobject.c, handle_capital_sigma.
bool CaseWriter::ends_word(size_t at) const {
  const auto ignorable = [](char32_t c) { return (str_flags(c) & kCaseIgnorable) != 0; };
  bool follows_cased = false;
  for (size_t end = at; end > 0;) {
    end = start_before(text_, end);
    const char32_t c = decode_at(text_, end).code;
    if (ignorable(c)) continue;
    follows_cased = is_cased(c);
    break;
  }
  if (!follows_cased) return false;
  for (size_t next = at + decode_at(text_, at).length; next < text_.size();) {
    const Character c = decode_at(text_, next);
    if (!ignorable(c.code)) return !is_cased(c.code);
    next += c.length;
  }
  return true;
}

void CaseWriter::map(char32_t c, CaseMapping mapping) {
  if (c == kSigma && mapping == CaseMapping::kLower) {
    put(ends_word(at_) ? kFinalSigma : kSmallSigma);
    return;
  }
  const CharRecord& record = record_of(c);
  const auto index = static_cast<uint32_t>(mapping);
  if ((record.flags & kExpands) != 0) {
    const uint32_t key = static_cast<uint32_t>(c) << 2 | index;
    const auto* const found = std::lower_bound(
        std::begin(kExpansions), std::end(kExpansions), key,
        [](const Expansion& expansion, uint32_t wanted) { return expansion.key < wanted; });
    if (found != std::end(kExpansions) && found->key == key) {
      for (const char32_t part : found->parts) {
        if (part != 0) put(part);
      }
      return;
    }
  }
  put(static_cast<char32_t>(static_cast<int32_t>(c) + record.deltas[index]));
}

// Source: CPython 3.11, Objects/unicodeobject.c, do_capitalize, do_title, do_swapcase.
void CaseWriter::write(CaseMapping mapping) {
  bool in_word = false;  // behind a cased character; for kCapitalize: behind any
  while (at_ < text_.size()) {
    const Character c = decode_at(text_, at_);
    const uint16_t flags = str_flags(c.code);
    switch (mapping) {
      case CaseMapping::kTitle:
      case CaseMapping::kCapitalize:
        map(c.code, in_word ? CaseMapping::kLower : CaseMapping::kTitle);
        in_word = mapping == CaseMapping::kCapitalize || is_cased(c.code);
        break;
      case CaseMapping::kSwapcase:
        if ((flags & (kUpper | kLower)) == 0) {
          put(c.code);
        } else {
          map(c.code, (flags & kUpper) != 0 ? CaseMapping::kLower : CaseMapping::kUpper);
        }
        break;
      default:
        map(c.code, mapping);
    }
    at_ += c.length;
  }
}

template <typename Predicate>
std::string_view strip_if(std::string_view text, Side side, Predicate drop) {
  while (side != Side::kRight && !text.empty()) {
    const Character first = decode_at(text, 0);
    if (!drop(first.code)) break;
    text.remove_prefix(first.length);
  }
  while (side != Side::kLeft && !text.empty()) {
    const size_t start = start_before(text, text.size());
    if (!drop(decode_at(text, start).code)) break;
    text = text.substr(0, start);
  }
  return text;
}

}  // namespace

uint16_t str_flags(char32_t c) { return record_of(c).flags; }

Character decode_at(std::string_view text, size_t position) {
  const auto lead = static_cast<uint8_t>(text[position]);
  if (lead < 0x80) return {lead, 1};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  bool whole = lead >= 0xC0 && lead < 0xF8 && length <= text.size() - position;
  for (size_t i = 1; whole && i < length; ++i) {
    whole = (static_cast<uint8_t>(text[position + i]) & 0xC0) == 0x80;
  }
  return whole ? character_at(text, position) : Character{0xFFFD, 1};
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

size_t start_before(std::string_view text, size_t end) {
  size_t start = end - 1;
  while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80) --start;
  return start;
}

std::string_view strip_space(std::string_view text, Side side) {
  return strip_if(text, side, is_space);
}

std::string_view strip_set(std::string_view text, std::string_view set, Side side) {
  std::vector<bool> members(kCodePoints);
  for (size_t at = 0; at < set.size();) {
    const Character c = decode_at(set, at);
    if (c.code < kCodePoints) members[c.code] = true;
    at += c.length;
  }
  return strip_if(text, side, [&](char32_t c) { return c < kCodePoints && members[c]; });
}

void map_case(std::string_view text, CaseMapping mapping, const TextSink& put) {
  CaseWriter(text, put).write(mapping);
}

}  // namespace gallop::text
