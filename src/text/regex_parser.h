// The parser behind regex_translation.h: a regex in Oniguruma's syntax to pieces of PCRE2's syntax
// and sets of code points between them. Recursion is bounded by kMaxRegexDepth.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/unicode_sets.h"

namespace gallop::text {

inline constexpr size_t kMaxRegexBytes = 16384;
inline constexpr size_t kMaxRegexSets = 1024;  // characters and classes
inline constexpr int kMaxRegexDepth = 64;
inline constexpr int kMaxRegexRepeats = 1000;  // PCRE2 copies what it repeats

// Syntax, or a character of one of `sets`.
struct RegexPiece {
  std::string syntax;
  int set = -1;
};

struct ParsedRegex {
  std::vector<RegexPiece> pieces;
  std::vector<CodeSet> sets;
};

class RegexParser {
 public:
  explicit RegexParser(std::string_view regex) : regex_(regex) {}
  Result<ParsedRegex> parse();

 private:
  struct Traits {
    bool may_be_empty = false;
    bool repeatable = true;  // false: an assertion
  };
  struct Quantifier {
    int least;
    int most;  // -1: no bound
    std::string syntax;
    bool interval = false;
  };

  bool at_end() const { return position_ == regex_.size(); }
  char peek() const { return at_end() ? '\0' : regex_[position_]; }
  bool accept(std::string_view text);
  char32_t take_character();
  Error error(const std::string& what) const;

  void write(std::string_view syntax) { parsed_.pieces.push_back({std::string(syntax), -1}); }
  void write_set(CodeSet set);

  Result<Traits> parse_alternatives(int depth);
  Result<Traits> parse_sequence(int depth);
  Result<Traits> parse_atom(int depth);
  Result<Traits> parse_group(int depth);
  Result<Traits> parse_escape();
  Result<Traits> parse_class();
  Result<Traits> write_literal(char32_t code);
  bool write_assertion(char letter);

  Result<void> parse_class_item(CodeSet& set);
  Result<std::optional<CodeSet>> parse_set_escape(bool inside_class);
  Result<CodeSet> parse_property(bool negated);
  Result<char32_t> parse_character_escape();
  Result<char32_t> parse_hex(size_t digits);

  Result<void> parse_quantifier(size_t atom_begin, Traits& traits);
  Result<std::optional<Quantifier>> take_quantifier();
  Result<Quantifier> take_interval();
  std::optional<int> take_number();
  Result<void> check_repeat(const Quantifier& quantifier, const Traits& traits) const;

  std::string_view regex_;
  size_t position_ = 0;
  ParsedRegex parsed_;
  bool fold_case_ = false;
  char last_letter_ = '\0';  // with fold_case_: the letter just written, in lower case
};

}  // namespace gallop::text
