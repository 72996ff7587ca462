#include "text/regex_translation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "text/regex_parser.h"
#include "text/unicode_sets.h"

namespace gallop::text {
namespace {

constexpr size_t kMaxLetters = 255;

// The ends of all ranges cut the code points into stretches; stretches that lie in the same sets
// are one letter.
class Alphabet {
 public:
  explicit Alphabet(const std::vector<CodeSet>& sets) : sets_(sets) {}

  Result<std::vector<uint8_t>> assign() {
    std::vector<char32_t> begins = {0, kLastCodePoint + 1};
    for (const CodeSet& set : sets_) {
      for (const CodeSet::Range& range : set.ranges()) {
        begins.push_back(range.first);
        begins.push_back(range.last + 1);
      }
    }
    std::sort(begins.begin(), begins.end());
    begins.erase(std::unique(begins.begin(), begins.end()), begins.end());
    std::vector<uint8_t> letters(kLastCodePoint + 1);
    for (size_t i = 0; i + 1 < begins.size(); ++i) {
      std::vector<bool> members(sets_.size());
      for (size_t set = 0; set < sets_.size(); ++set) members[set] = sets_[set].contains(begins[i]);
      const size_t letter =
          letters_.try_emplace(std::move(members), letters_.size() + 1).first->second;
      if (letter > kMaxLetters) {
        return Error{fmt::format("its characters and classes make more than {} kinds of characters",
                                 kMaxLetters)};
      }
      std::fill(letters.begin() + static_cast<std::ptrdiff_t>(begins[i]),
                letters.begin() + static_cast<std::ptrdiff_t>(begins[i + 1]),
                static_cast<uint8_t>(letter));
    }
    return letters;
  }

  // The class of PCRE2 that holds the letters of a set.
  std::string letters_of(size_t set) const {
    std::string members;
    for (const auto& [in_set, letter] : letters_) {
      if (in_set[set]) members += fmt::format("\\x{:02x}", letter);
    }
    return members.empty() ? "[^\\x00-\\xff]" : "[" + members + "]";
  }

 private:
  const std::vector<CodeSet>& sets_;
  std::map<std::vector<bool>, size_t> letters_;
};

}  // namespace

Result<RegexTranslation> translate_regex(std::string_view regex) {
  ASSIGN_OR_RETURN(const ParsedRegex parsed, RegexParser(regex).parse());
  Alphabet alphabet(parsed.sets);
  RegexTranslation translation;
  ASSIGN_OR_RETURN(translation.letters, alphabet.assign());
  for (const RegexPiece& piece : parsed.pieces) {
    translation.pattern +=
        piece.set < 0 ? piece.syntax : alphabet.letters_of(static_cast<size_t>(piece.set));
  }
  return translation;
}

}  // namespace gallop::text
