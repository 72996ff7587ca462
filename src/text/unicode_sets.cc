#include "text/unicode_sets.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

#include "text/unicode.h"

namespace gallop::text {
namespace {

// Runs of equal values: first code point << 10 | word << 9 | script << 5 | category.
constexpr uint32_t kRuns[] = {
#include "text/unicode_categories.inc"
};

constexpr std::array<std::string_view, 29> kCategories = {
    "cn", "lu", "ll", "lt", "lm", "lo", "mn", "mc", "me", "nd", "nl", "no", "pc", "pd", "ps",
    "pe", "pi", "pf", "po", "sm", "sc", "sk", "so", "zs", "zl", "zp", "cc", "cf", "co"};
constexpr std::array<std::string_view, 16> kScripts = {
    "",       "han",    "hiragana", "katakana",   "hangul",  "latin", "greek",    "cyrillic",
    "arabic", "hebrew", "thai",     "devanagari", "bengali", "tamil", "georgian", "armenian"};

uint32_t category_of(uint32_t run) { return run & 0x1F; }
uint32_t script_of(uint32_t run) { return run >> 5 & 0xF; }
bool is_word(uint32_t run) { return (run >> 9 & 1) != 0; }

template <typename Predicate>
CodeSet runs_where(Predicate predicate) {
  CodeSet set;
  for (size_t i = 0; i < std::size(kRuns); ++i) {
    if (!predicate(kRuns[i])) continue;
    const char32_t end = i + 1 < std::size(kRuns) ? kRuns[i + 1] >> 10 : kLastCodePoint + 1;
    set.add(kRuns[i] >> 10, end - 1);
  }
  return set;
}

std::string loose(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (c == ' ' || c == '-' || c == '_') continue;
    result.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return result;
}

}  // namespace

void CodeSet::add(char32_t first, char32_t last) {
  const bool behind = ranges_.empty() || first > ranges_.back().last + 1;
  ranges_.push_back({first, last});
  if (!behind) normalize();
}

void CodeSet::add(const CodeSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  normalize();
}

void CodeSet::normalize() {
  std::sort(ranges_.begin(), ranges_.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  std::vector<Range> merged;
  for (const Range& range : ranges_) {
    if (!merged.empty() && range.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  ranges_ = std::move(merged);
}

CodeSet CodeSet::complement() const {
  CodeSet result;
  char32_t next = 0;
  for (const Range& range : ranges_) {
    if (range.first > next) result.ranges_.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) result.ranges_.push_back({next, kLastCodePoint});
  return result;
}

bool CodeSet::contains(char32_t code) const {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), code,
                       [](char32_t value, const Range& range) { return value < range.first; });
  return after != ranges_.begin() && std::prev(after)->last >= code;
}

std::optional<CodeSet> property_set(std::string_view name) {
  const std::string wanted = loose(name);
  if (wanted.empty()) return std::nullopt;
  const auto script = std::find(kScripts.begin(), kScripts.end(), wanted);
  if (script != kScripts.end()) {
    const auto index = static_cast<uint32_t>(script - kScripts.begin());
    return runs_where([&](uint32_t run) { return script_of(run) == index; });
  }
  if (wanted.size() > 2) return std::nullopt;
  const auto is_wanted = [&](std::string_view category) { return category.starts_with(wanted); };
  if (std::none_of(kCategories.begin(), kCategories.end(), is_wanted)) return std::nullopt;
  return runs_where([&](uint32_t run) { return is_wanted(kCategories[category_of(run)]); });
}

CodeSet space_set() {
  static const CodeSet kSet = [] {
    CodeSet set;
    const uint8_t* const flags = char_flag_table();
    for (char32_t code = 0; code <= kLastCodePoint; ++code) {
      if ((flags[code] & kSpace) != 0) set.add(code, code);
    }
    return set;
  }();
  return kSet;
}

CodeSet digit_set() { return *property_set("nd"); }

CodeSet word_set(bool inside_class) {
  CodeSet set = runs_where(is_word);
  if (inside_class) return set;
  for (const char32_t code : {0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE}) set.add(code, code);
  return set;
}

}  // namespace gallop::text
