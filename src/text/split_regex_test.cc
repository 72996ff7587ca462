#include "text/split_regex.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "text/pretokenizer.h"
#include "text/unicode.h"

namespace gallop::text {
namespace {

using Strings = std::vector<std::string>;

Strings found(std::string_view regex, std::string_view text) {
  const Result<SplitRegex> compiled = SplitRegex::make(regex);
  if (!compiled.ok()) return {compiled.error().message};
  std::vector<SplitRegex::Match> matches;
  const Result<void> done = compiled->find(text, matches);
  if (!done.ok()) return {done.error().message};
  Strings parts;
  for (const auto& [begin, end] : matches) parts.emplace_back(text.substr(begin, end - begin));
  return parts;
}

TEST(SplitRegex, FindsLeftmostMatches) {
  EXPECT_EQ(found("b+|c", "abbcab"), (Strings{"bb", "c", "b"}));
  EXPECT_EQ(found("\\p{Han}+", "a\u4f60\u597d b\u3042"), Strings{"\u4f60\u597d"});
  EXPECT_EQ(found("x*", "ab"), (Strings{"", "", ""}));
  EXPECT_EQ(found("x*", "xa"), (Strings{"x", ""}));
  EXPECT_EQ(found("(?<=\u00e9)b", "b\u00e9b"), Strings{"b"});
}

// What PCRE2 by itself would read in another way.
TEST(SplitRegex, ReadsOnigurumaSyntax) {
  EXPECT_EQ(found("\\h+", "xaF0 \t"), Strings{"aF0"});
  EXPECT_EQ(found("a{,2}b", "aaab"), Strings{"aab"});
  EXPECT_EQ(found("(?:ab){1,2}+", "ababab"), Strings{"ababab"});
  EXPECT_EQ(found("^a|b$", "a\na\nb\nb"), (Strings{"a", "a", "b", "b"}));
  EXPECT_EQ(found("a(?i)b|c", "aB C aC"), (Strings{"aB", "aC"}));
  EXPECT_EQ(found("(?i:'s|k)", "'\u017f \u212a"), (Strings{"'\u017f", "\u212a"}));
  EXPECT_EQ(found("\\p{L}+", "\u1c89\U00011bc0-"), Strings{"\u1c89\U00011bc0"});  // Unicode 16
}

TEST(SplitRegex, RefusesByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"(a)\\1", "the escape \\1"},
      {"\\Ra", "the escape \\R"},
      {"\\Ga", "the escape \\G"},
      {"[[:alpha:]]", "[ inside a class"},
      {"[a&&b]", "&& inside a class"},
      {"[a-\\d]", "escape \\d"},
      {"[]a]", "] at the front"},
      {"(?<n>a)", "the group (?<"},
      {"(?x: a)", "the group (?x"},
      {"(*FAIL)", "the group (*F"},
      {"\\p{Klingon}", "the property Klingon"},
      {"(?:a*)*", "may match nothing"},
      {"(?=a)+", "an assertion that is repeated"},
      {"a{2}?", "{n}?"},
      {"a**", "a quantifier behind a quantifier"},
      {"+a", "nothing before it"},
      {"(a", "a group without its )"},
      {"a)", "a ) without its ("},
      {"[a", "a class without its ]"},
      {"a\\", "nothing behind it"},
      {"(?i:ss)", "ss without regard to case"},
      {"(?i:\u00e9)", "beyond ASCII"},
      {"(?<=a+)b", "lookbehind"},
  };
  for (const auto& [regex, what] : cases) {
    const Result<SplitRegex> compiled = SplitRegex::make(regex);
    ASSERT_FALSE(compiled.ok()) << regex;
    EXPECT_NE(compiled.error().message.find(regex), std::string::npos) << compiled.error().message;
    EXPECT_NE(compiled.error().message.find(what), std::string::npos) << compiled.error().message;
  }
}

TEST(SplitRegex, BoundsSizes) {
  EXPECT_FALSE(SplitRegex::make(std::string(20'000, 'a')).ok());
  EXPECT_FALSE(SplitRegex::make(std::string(2'000, 'a')).ok());
  std::string nested = "a";
  for (int depth = 0; depth < 100; ++depth) nested = "(" + nested + ")";
  EXPECT_FALSE(SplitRegex::make(nested).ok());
  EXPECT_FALSE(SplitRegex::make("(?:(?:a{1000}){1000}){1000}").ok());
  std::string letters;
  for (char32_t code = 0x4E00; code < 0x4E00 + 300; ++code) append_utf8(letters, code);
  EXPECT_FALSE(SplitRegex::make(letters).ok());  // 300 kinds of characters
  EXPECT_TRUE(SplitRegex::make("[" + letters + "]").ok());
  EXPECT_TRUE(SplitRegex::make("a{1000}").ok());
}

// The b at the end keeps PCRE2 from seeing at once that there is no match.
TEST(SplitRegex, StopsWithinItsLimits) {
  const Strings exponential = found("(?:a|a)+b", std::string(64, 'a') + "cb");
  ASSERT_EQ(exponential.size(), 1u);
  EXPECT_NE(exponential[0].find("the pre_tokenizer's regex (?:a|a)+b at byte 0"), std::string::npos)
      << exponential[0];
  EXPECT_EQ(found("(?:a|b)+", std::string(1 << 20, 'a')).size(), 1u);
}

TEST(PreTokenizer, GapsAndBehaviors) {
  const auto split = [](SplitBehavior behavior, bool invert) {
    const auto regex = std::make_shared<const SplitRegex>(SplitRegex::make("-").value());
    PreTokenizer::Pieces pieces;
    const PreTokenizer pre({{.regex = regex, .behavior = behavior, .invert = invert}});
    EXPECT_TRUE(pre.split("a--b-", pieces).ok());
    return Strings(pieces.views.begin(), pieces.views.end());
  };
  EXPECT_EQ(split(SplitBehavior::kIsolated, false), (Strings{"a", "-", "-", "b", "-"}));
  EXPECT_EQ(split(SplitBehavior::kRemoved, false), (Strings{"a", "b"}));
  EXPECT_EQ(split(SplitBehavior::kRemoved, true), (Strings{"-", "-", "-"}));
  EXPECT_EQ(split(SplitBehavior::kContiguous, false), (Strings{"a", "--", "b", "-"}));
  EXPECT_EQ(split(SplitBehavior::kMergedWithPrevious, false), (Strings{"a-", "-", "b-"}));
  EXPECT_EQ(split(SplitBehavior::kMergedWithNext, false), (Strings{"a", "-", "-b", "-"}));
}

}  // namespace
}  // namespace gallop::text
