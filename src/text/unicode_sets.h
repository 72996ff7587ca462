// Sets of code points, and those that a regex can name: general categories, some scripts, \d, \s
// and \w. Their members are what the regex engine of the PyPI package `tokenizers` takes for them,
// oddities included; unicode_categories.inc is generated from it by tools/make_unicode_tables.py.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace gallop::text {

inline constexpr char32_t kLastCodePoint = 0x10FFFF;

class CodeSet {
 public:
  struct Range {
    char32_t first;
    char32_t last;  // included
  };

  CodeSet() = default;
  CodeSet(char32_t first, char32_t last) : ranges_{{first, last}} {}

  void add(char32_t first, char32_t last);
  void add(const CodeSet& other);
  CodeSet complement() const;
  bool contains(char32_t code) const;

  // Ascending; no two of them touch.
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  void normalize();

  std::vector<Range> ranges_;
};

// \p{NAME}: a general category ("Lu"), a group of them ("L") or a script ("Han"); case, blanks, '-'
// and '_' do not count. None where the name is not known.
std::optional<CodeSet> property_set(std::string_view name);

CodeSet space_set();  // \s
CodeSet digit_set();  // \d
// \w. Beside a class the engine also takes the superscripts and fractions of Latin-1 for word
// characters.
CodeSet word_set(bool inside_class);

}  // namespace gallop::text
