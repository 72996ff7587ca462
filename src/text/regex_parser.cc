#include "text/regex_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "text/unicode.h"

namespace gallop::text {
namespace {

bool is_ascii_letter(char32_t code) {
  return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
}

bool is_ascii_punctuation(char32_t code) {
  return code > 0x20 && code < 0x7F && !is_ascii_letter(code) && !(code >= '0' && code <= '9');
}

char lower(char32_t code) {
  return static_cast<char>(code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code);
}

CodeSet one(char32_t code) { return CodeSet(code, code); }

// `set`, all below 0x80, and what equals its members without regard to case: U+017F (long s) folds
// to s, U+212A (the Kelvin sign) to k.
CodeSet folded(const CodeSet& set) {
  CodeSet result = set;
  for (char32_t letter = 'a'; letter <= 'z'; ++letter) {
    const char32_t capital = letter - ('a' - 'A');
    if (!set.contains(letter) && !set.contains(capital)) continue;
    result.add(one(letter));
    result.add(one(capital));
    if (letter == 's') result.add(one(0x17F));
    if (letter == 'k') result.add(one(0x212A));
  }
  return result;
}

// Pairs that Oniguruma without regard to case also finds as one character: U+00DF (ss), the
// ligatures from U+FB00 on (ff, fi, fl, st).
bool is_folded_pair(char first, char second) {
  if (first == 's') return second == 's' || second == 't';
  return first == 'f' && (second == 'f' || second == 'i' || second == 'l');
}

}  // namespace

Result<ParsedRegex> RegexParser::parse() {
  if (regex_.size() > kMaxRegexBytes) {
    return Error{fmt::format("{} bytes; at most {} are supported", regex_.size(), kMaxRegexBytes)};
  }
  RETURN_IF_ERROR(parse_alternatives(0));
  if (!at_end()) return error("a ) without its (");
  return std::move(parsed_);
}

bool RegexParser::accept(std::string_view text) {
  if (!regex_.substr(position_).starts_with(text)) return false;
  position_ += text.size();
  return true;
}

char32_t RegexParser::take_character() {
  const Character character = character_at(regex_, position_);
  position_ += character.length;
  return character.code;
}

Error RegexParser::error(const std::string& what) const {
  return Error{fmt::format("at byte {}: {}", position_, what)};
}

void RegexParser::write_set(CodeSet set) {
  parsed_.pieces.push_back({"", static_cast<int>(parsed_.sets.size())});
  parsed_.sets.push_back(std::move(set));
}

Result<RegexParser::Traits> RegexParser::parse_alternatives(int depth) {
  if (depth > kMaxRegexDepth) return error(fmt::format("deeper than {} groups", kMaxRegexDepth));
  const bool fold_before = fold_case_;  // an option ends with its group
  Traits traits;
  for (;;) {
    last_letter_ = '\0';
    ASSIGN_OR_RETURN(const Traits sequence, parse_sequence(depth));
    traits.may_be_empty |= sequence.may_be_empty;
    if (!accept("|")) break;
    write("|");
  }
  last_letter_ = '\0';
  fold_case_ = fold_before;
  return traits;
}

Result<RegexParser::Traits> RegexParser::parse_sequence(int depth) {
  Traits sequence{.may_be_empty = true};
  while (!at_end() && peek() != '|' && peek() != ')') {
    if (parsed_.sets.size() > kMaxRegexSets) {
      return error(fmt::format("more than {} characters and classes", kMaxRegexSets));
    }
    const size_t begin = parsed_.pieces.size();
    ASSIGN_OR_RETURN(Traits atom, parse_atom(depth));
    RETURN_IF_ERROR(parse_quantifier(begin, atom));
    sequence.may_be_empty &= atom.may_be_empty;
  }
  return sequence;
}

Result<RegexParser::Traits> RegexParser::parse_atom(int depth) {
  const char next = peek();
  if (next == '(') return parse_group(depth);
  if (next == '[') return parse_class();
  if (next == '\\') return parse_escape();
  if (next == '*' || next == '+' || next == '?' || next == '{') {
    return error(fmt::format("{} with nothing before it to repeat", next));
  }
  if (next == '.' || next == '^' || next == '$') {
    ++position_;
    if (write_assertion(next)) return Traits{true, false};
    last_letter_ = '\0';
    write_set(one('\n').complement());
    return Traits{};
  }
  return write_literal(take_character());
}

Result<RegexParser::Traits> RegexParser::parse_group(int depth) {
  const bool fold_before = fold_case_;
  bool assertion = false;
  bool option_to_end = false;  // (?i) holds to the end of the group around it, alternatives too
  std::string_view opening = "(?:";
  if (accept("(?i:")) {
    fold_case_ = true;
  } else if (accept("(?-i:")) {
    fold_case_ = false;
  } else if (accept("(?i)")) {
    fold_case_ = option_to_end = true;
  } else if (accept("(?-i)")) {
    fold_case_ = false;
    option_to_end = true;
  } else if (accept("(?>") || accept("(?=") || accept("(?!")) {
    opening = regex_.substr(position_ - 3, 3);
  } else if (accept("(?<=") || accept("(?<!")) {
    opening = regex_.substr(position_ - 4, 4);
  } else if (!accept("(?:")) {
    if (regex_.substr(position_).starts_with("(?") || regex_.substr(position_).starts_with("(*")) {
      return error(fmt::format("the group {}... is not supported", regex_.substr(position_, 3)));
    }
    ++position_;  // a group that captures: nobody asks what
  }
  assertion = opening.ends_with('=') || opening.ends_with('!');
  write(opening);
  ASSIGN_OR_RETURN(Traits traits, parse_alternatives(depth + 1));
  write(")");
  fold_case_ = fold_before;
  if (!option_to_end && !accept(")")) return error("a group without its )");
  if (assertion) return Traits{true, false};
  return traits;
}

// Line ends are \n alone, and ^ does not match behind the last one at the text's end.
bool RegexParser::write_assertion(char letter) {
  const auto with_set = [&](std::string_view before, CodeSet set, std::string_view after) {
    write(before);
    write_set(std::move(set));
    write(after);
  };
  last_letter_ = '\0';
  if (letter == 'A' || letter == 'z') {
    write(letter == 'A' ? "\\A" : "\\z");
  } else if (letter == '^') {
    with_set("(?:\\A|(?<=", one('\n'), ")(?!\\z))");
  } else if (letter == '$') {
    with_set("(?!", one('\n').complement(), ")");
  } else if (letter == 'Z') {
    with_set("(?:\\z|(?=", one('\n'), "\\z))");
  } else if (letter == 'b' || letter == 'B') {
    const CodeSet word = word_set(false);
    with_set("(?:(?<=", word, ")");
    with_set(letter == 'b' ? "(?!" : "(?=", word, ")|");
    with_set("(?<!", word, ")");
    with_set(letter == 'b' ? "(?=" : "(?!", word, "))");
  } else {
    return false;
  }
  return true;
}

Result<RegexParser::Traits> RegexParser::write_literal(char32_t code) {
  if (!fold_case_) {
    write_set(one(code));
    return Traits{};
  }
  if (code >= 0x80) return error("a character beyond ASCII without regard to case");
  const char letter = is_ascii_letter(code) ? lower(code) : '\0';
  if (is_folded_pair(last_letter_, letter)) {
    return error(fmt::format("{}{} without regard to case", last_letter_, letter));
  }
  last_letter_ = letter;
  write_set(folded(one(code)));
  return Traits{};
}

Result<RegexParser::Traits> RegexParser::parse_escape() {
  ++position_;  // the backslash
  const char next = peek();
  if (write_assertion(next)) {
    ++position_;
    return Traits{true, false};
  }
  ASSIGN_OR_RETURN(std::optional<CodeSet> set, parse_set_escape(false));
  if (set) {
    last_letter_ = '\0';
    write_set(std::move(*set));
    return Traits{};
  }
  ASSIGN_OR_RETURN(const char32_t code, parse_character_escape());
  return write_literal(code);
}

// Behind a backslash: one of \d \s \w \h \p and their opposites; none where something else stands.
Result<std::optional<CodeSet>> RegexParser::parse_set_escape(bool inside_class) {
  const char letter = peek();
  const char kind = lower(static_cast<uint8_t>(letter));
  if (std::string_view("dswhp").find(kind) == std::string_view::npos || kind == '\0') {
    return std::optional<CodeSet>();
  }
  ++position_;
  if (fold_case_ && (kind == 'w' || kind == 'p' || (kind == 'h' && inside_class))) {
    return error(fmt::format("\\{} without regard to case", letter));
  }
  if (kind == 'p') {
    ASSIGN_OR_RETURN(CodeSet set, parse_property(letter == 'P'));
    return std::optional<CodeSet>(std::move(set));
  }
  CodeSet set;
  if (kind == 'd') set = digit_set();
  if (kind == 's') set = space_set();
  if (kind == 'w') set = word_set(inside_class);
  if (kind == 'h') {  // a hexadecimal digit; PCRE2 would take it for horizontal space
    set.add('0', '9');
    set.add('A', 'F');
    set.add('a', 'f');
  }
  return std::optional<CodeSet>(letter == kind ? std::move(set) : set.complement());
}

// {NAME} or {^NAME}.
Result<CodeSet> RegexParser::parse_property(bool negated) {
  const size_t end = regex_.find('}', position_);
  if (peek() != '{' || end == std::string_view::npos) return error("\\p without {NAME}");
  std::string_view name = regex_.substr(position_ + 1, end - position_ - 1);
  if (name.starts_with('^')) {
    negated = !negated;
    name.remove_prefix(1);
  }
  const std::optional<CodeSet> set = property_set(name);
  if (!set) return error(fmt::format("the property {} is not supported", name));
  position_ = end + 1;
  return negated ? set->complement() : *set;
}

// Behind a backslash: one character, written in one of Oniguruma's ways.
Result<char32_t> RegexParser::parse_character_escape() {
  if (at_end()) return error("a backslash with nothing behind it");
  constexpr std::string_view kLetters = "tnrfvae";
  constexpr char32_t kCodes[] = {'\t', '\n', '\r', '\f', '\v', 0x07, 0x1B};
  const size_t letter = kLetters.find(peek());
  if (letter != std::string_view::npos) {
    ++position_;
    return kCodes[letter];
  }
  if (accept("u")) return parse_hex(4);
  if (accept("x")) {
    if (!accept("{")) {
      ASSIGN_OR_RETURN(const char32_t code, parse_hex(2));
      if (code >= 0x80) return error("\\xHH above 7F is a byte, not a character");
      return code;
    }
    const size_t end = regex_.find('}', position_);
    if (end == std::string_view::npos || end == position_ || end - position_ > 8) {
      return error("\\x{ without hexadecimal digits and }");
    }
    ASSIGN_OR_RETURN(const char32_t code, parse_hex(end - position_));
    ++position_;
    return code;
  }
  const char32_t code = take_character();
  if (code >= 0x80 || is_ascii_punctuation(code) || code == ' ') return code;
  return error(fmt::format("the escape \\{} is not supported", static_cast<char>(code)));
}

Result<char32_t> RegexParser::parse_hex(size_t digits) {
  char32_t code = 0;
  for (size_t i = 0; i < digits; ++i) {
    const char digit = peek();
    const char letter = lower(static_cast<uint8_t>(digit));
    if (digit >= '0' && digit <= '9') {
      code = code * 16 + static_cast<char32_t>(digit - '0');
    } else if (letter >= 'a' && letter <= 'f') {
      code = code * 16 + static_cast<char32_t>(letter - 'a' + 10);
    } else {
      return error("expected a hexadecimal digit");
    }
    ++position_;
  }
  if (code > kLastCodePoint || (code >= 0xD800 && code < 0xE000)) {
    return error("a number that is no character's");
  }
  return code;
}

Result<RegexParser::Traits> RegexParser::parse_class() {
  ++position_;  // the bracket
  const bool negated = accept("^");
  if (peek() == ']') return error("] at the front of a class; write \\]");
  CodeSet set;
  while (!accept("]")) {
    if (at_end()) return error("a class without its ]");
    RETURN_IF_ERROR(parse_class_item(set));
  }
  last_letter_ = '\0';
  if (fold_case_) {
    CodeSet ascii = set;
    if (!ascii.ranges().empty() && ascii.ranges().back().last >= 0x80) {
      return error("a class beyond ASCII without regard to case");
    }
    set = folded(ascii);
  }
  write_set(negated ? set.complement() : std::move(set));
  return Traits{};
}

// A character, a range of two or an escape; what Oniguruma reads as an operator is an error.
Result<void> RegexParser::parse_class_item(CodeSet& set) {
  const auto end_of_range = [&]() -> Result<char32_t> {
    if (peek() == '[') return error("[ inside a class; write \\[");
    if (!accept("\\")) return take_character();
    return parse_character_escape();
  };
  if (regex_.substr(position_).starts_with("&&")) return error("&& inside a class");
  if (peek() == '[') return error("[ inside a class; write \\[");
  if (peek() == '-' && !regex_.substr(position_).starts_with("-]") &&
      regex_[position_ - 1] != '[' && !regex_.substr(0, position_).ends_with("[^")) {
    return error("- between two items of a class; write \\-");
  }
  if (accept("\\")) {
    ASSIGN_OR_RETURN(const std::optional<CodeSet> escape, parse_set_escape(true));
    if (escape) {
      set.add(*escape);
      return {};
    }
    --position_;
  }
  ASSIGN_OR_RETURN(const char32_t first, end_of_range());
  char32_t last = first;
  if (peek() == '-' && !regex_.substr(position_).starts_with("-]")) {
    ++position_;
    if (at_end()) return error("a class without its ]");
    ASSIGN_OR_RETURN(last, end_of_range());
  }
  if (last < first) return error("a range of a class that ends before it begins");
  set.add(first, last);
  return {};
}

std::optional<int> RegexParser::take_number() {
  if (peek() < '0' || peek() > '9') return std::nullopt;
  int number = 0;
  while (peek() >= '0' && peek() <= '9' && number <= kMaxRegexRepeats) {
    number = number * 10 + (regex_[position_++] - '0');
  }
  return number;
}

// {n}, {n,}, {n,m} or {,m}.
Result<RegexParser::Quantifier> RegexParser::take_interval() {
  ++position_;  // the brace
  const std::optional<int> least = take_number();
  const bool comma = accept(",");
  const std::optional<int> most = comma ? take_number() : least;
  if (!accept("}") || (!least && !most)) return error("{ that begins no {n,m}; write \\{");
  Quantifier quantifier{
      .least = least.value_or(0), .most = most.value_or(-1), .syntax = {}, .interval = true};
  if (std::max(quantifier.least, quantifier.most) > kMaxRegexRepeats) {
    return error(fmt::format("more than {} repeats", kMaxRegexRepeats));
  }
  if (quantifier.most >= 0 && quantifier.least > quantifier.most) {
    return error("{n,m} whose n is above m");
  }
  if (!comma && peek() == '?') return error("{n}?, which Oniguruma reads in a way of its own");
  quantifier.syntax = quantifier.most < 0
                          ? fmt::format("{{{},}}", quantifier.least)
                          : fmt::format("{{{},{}}}", quantifier.least, quantifier.most);
  return quantifier;
}

Result<std::optional<RegexParser::Quantifier>> RegexParser::take_quantifier() {
  if (peek() == '{') {
    ASSIGN_OR_RETURN(Quantifier interval, take_interval());
    return std::optional<Quantifier>(std::move(interval));
  }
  if (accept("*")) return std::optional<Quantifier>({0, -1, "*"});
  if (accept("+")) return std::optional<Quantifier>({1, -1, "+"});
  if (accept("?")) return std::optional<Quantifier>({0, 1, "?"});
  return std::optional<Quantifier>();
}

// Where a repeated part may match nothing, the two engines leave the loop by different rules.
Result<void> RegexParser::check_repeat(const Quantifier& quantifier, const Traits& traits) const {
  if (!traits.repeatable) return error("an assertion that is repeated");
  if (traits.may_be_empty && quantifier.most != 1) {
    return error("a repeated part that may match nothing");
  }
  if (fold_case_ && (last_letter_ == 's' || last_letter_ == 'f') && quantifier.most != 1) {
    return error(fmt::format("{} repeated without regard to case", last_letter_));
  }
  return {};
}

Result<void> RegexParser::parse_quantifier(size_t atom_begin, Traits& traits) {
  ASSIGN_OR_RETURN(const std::optional<Quantifier> quantifier, take_quantifier());
  if (!quantifier) return {};
  RETURN_IF_ERROR(check_repeat(*quantifier, traits));
  last_letter_ = '\0';
  write(quantifier->syntax);
  if (peek() == '+' && quantifier->interval) {
    // Possessive elsewhere; to Oniguruma a repeated interval.
    if (quantifier->least == 0) return error("a repeated part that may match nothing");
    parsed_.pieces.insert(parsed_.pieces.begin() + static_cast<std::ptrdiff_t>(atom_begin),
                          RegexPiece{"(?:", -1});
    write(")+");
    ++position_;
  } else if (peek() == '+' || peek() == '?') {
    write(regex_.substr(position_++, 1));
  }
  if (!at_end() && std::string_view("*+?{").find(peek()) != std::string_view::npos) {
    return error("a quantifier behind a quantifier");
  }
  traits.may_be_empty |= quantifier->least == 0;
  traits.repeatable = true;
  return {};
}

}  // namespace gallop::text
