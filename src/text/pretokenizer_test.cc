#include "text/pretokenizer.h"

#include <gtest/gtest.h>

#include "text/tokenizer_test_model.h"
#include "text/unicode.h"
#include "text/unicode_nfc.h"

namespace gallop::text {
namespace {

using Strings = std::vector<std::string>;

const SplitPattern kQwen35 = *known_split_pattern(testing::kQwen35Regex);
const SplitPattern kQwen2 = {};
const SplitPattern kGpt2 = {.gpt2 = true};

Strings split(const PreTokenizerStep& step, const std::string& text) {
  PreTokenizer::Pieces pieces;
  EXPECT_TRUE(PreTokenizer({step}).split(text, pieces).ok());
  return {pieces.views.begin(), pieces.views.end()};
}

Strings isolated(const SplitPattern& pattern, const std::string& text) {
  return split({.pattern = pattern}, text);
}

TEST(PreTokenizer, Qwen35Pattern) {
  const auto pieces = [](const std::string& text) { return isolated(kQwen35, text); };
  EXPECT_EQ(pieces("Hello, world! 123"),
            (Strings{"Hello", ",", " world", "!", " ", "1", "2", "3"}));
  EXPECT_EQ(pieces("  spaced  text\n"), (Strings{" ", " spaced", " ", " text", "\n"}));
  EXPECT_EQ(pieces("don't I'LL x'\u017fo"),
            (Strings{"don", "'t", " I", "'LL", " x", "'\u017f", "o"}));
  EXPECT_EQ(pieces("'l 'r' ''s"), (Strings{"'l", " '", "r", "'", " ''", "s"}));
  EXPECT_EQ(pieces("a \n\n \n  b"), (Strings{"a", " \n\n \n", " ", " b"}));
  EXPECT_EQ(pieces("a  \t"), (Strings{"a", "  \t"}));
  EXPECT_EQ(pieces("x==y;\r\n\n\tz"), (Strings{"x", "==", "y", ";\r\n\n", "\tz"}));
  EXPECT_EQ(pieces("e\u0301\u0327!\u0301."), (Strings{"e\u0301\u0327", "!\u0301", "."}));
  EXPECT_EQ(pieces("1\u0301 2"), (Strings{"1", "\u0301", " ", "2"}));
  EXPECT_EQ(pieces("\u3000\u4f60\u597d\uff0c"), (Strings{"\u3000\u4f60\u597d", "\uff0c"}));
  EXPECT_EQ(pieces(""), Strings{});
}

TEST(PreTokenizer, Qwen2KeepsMarksApart) {
  EXPECT_EQ(isolated(kQwen2, "e\u0301x 1"), (Strings{"e", "\u0301x", " ", "1"}));
  EXPECT_EQ(isolated(kQwen2, "\u0301\u0301 ."), (Strings{"\u0301\u0301", " ."}));
  EXPECT_EQ(isolated({.digits = 3}, "1234567 \u0661"), (Strings{"123", "456", "7", " ", "\u0661"}));
}

TEST(PreTokenizer, Gpt2Pattern) {
  const auto pieces = [](const std::string& text) { return isolated(kGpt2, text); };
  EXPECT_EQ(pieces("Hello  world 123!\n\n x"),
            (Strings{"Hello", " ", " world", " 123", "!", "\n\n", " x"}));
  EXPECT_EQ(pieces("I'll I'LL"), (Strings{"I", "'ll", " I", "'", "LL"}));
}

TEST(PreTokenizer, Behaviors) {
  const auto pieces = [](SplitBehavior behavior, bool invert) {
    return split({.pattern = kGpt2, .behavior = behavior, .invert = invert}, "a b");
  };
  EXPECT_EQ(pieces(SplitBehavior::kRemoved, false), Strings{});
  EXPECT_EQ(pieces(SplitBehavior::kRemoved, true), (Strings{"a", " b"}));
  EXPECT_EQ(pieces(SplitBehavior::kContiguous, false), Strings{"a b"});
  EXPECT_EQ(pieces(SplitBehavior::kMergedWithPrevious, false), (Strings{"a", " b"}));
  EXPECT_EQ(pieces(SplitBehavior::kMergedWithNext, true), (Strings{"a", " b"}));
}

TEST(PreTokenizer, ByteLevelPrefixSpaceAndMapping) {
  EXPECT_EQ(split({.byte_level = true, .add_prefix_space = true}, "a"), Strings{" a"});
  EXPECT_EQ(split({.byte_level = true, .add_prefix_space = true}, " a"), Strings{" a"});
  const PreTokenizer twice({{.byte_level = true}, {.byte_level = true}});
  PreTokenizer::Pieces pieces;
  EXPECT_TRUE(twice.split(" ", pieces).ok());
  EXPECT_TRUE(twice.pieces_are_bytes());
  EXPECT_EQ(pieces.views, std::vector<std::string_view>{"\u0120"});
  EXPECT_FALSE(PreTokenizer({{.byte_level = true}, {.pattern = kGpt2}}).pieces_are_bytes());
  EXPECT_EQ(bytes_of_characters("\u0120a\u00ff"), " a\xFF");
  EXPECT_EQ(bytes_of_characters("a b"), std::nullopt);
}

TEST(PreTokenizer, UnknownRegexIsNone) {
  EXPECT_FALSE(known_split_pattern("").has_value());
  EXPECT_FALSE(known_split_pattern(testing::kQwen35Regex + "|a").has_value());
}

TEST(Unicode, Classes) {
  const auto flags = [](char32_t code) { return static_cast<int>(char_flag_table()[code]); };
  EXPECT_EQ(flags('a'), kLetter | kWord);
  EXPECT_EQ(flags('5'), kNumber | kWord);
  EXPECT_EQ(flags(' '), kSpace);
  EXPECT_EQ(flags('_'), kWord);
  EXPECT_EQ(flags(0x301), kMark | kWord | kNfcCheck);
  EXPECT_EQ(flags(0x85), kSpace);
  EXPECT_EQ(flags(0x2167), kNumber | kWord);  // ROMAN NUMERAL EIGHT: Nl
  EXPECT_EQ(flags(0x1C89), kLetter | kWord);  // Unicode 16
  EXPECT_EQ(flags(0x11DE0), 0);               // a digit of Unicode 17
  EXPECT_EQ(flags(0x10FFFF), 0);
}

TEST(Unicode, LossyUtf8ReplacesMaximalParts) {
  const auto lossy = [](std::string_view bytes, bool at_end) {
    std::string out;
    const size_t used = append_lossy_utf8(out, bytes, at_end);
    return std::pair(out, used);
  };
  // The example of The Unicode Standard 3.9, table 3-11.
  EXPECT_EQ(lossy("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", true).first, "\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(lossy("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", true).first,
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(lossy("\xED\xA0\x80\xF4\x91", true).first, "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(lossy("a\xF0\x9F\x9A", false), std::pair(std::string("a"), size_t{1}));
  EXPECT_EQ(lossy("a\xF0\x9F\x9A", true), std::pair(std::string("a\uFFFD"), size_t{4}));
  EXPECT_TRUE(is_valid_utf8("a\u00e9\u4f60\U0001F680"));
  EXPECT_FALSE(is_valid_utf8("\xED\xA0\x80"));
  EXPECT_FALSE(is_valid_utf8("\xF0\x9F\x9A"));
}

TEST(Unicode, Nfc) {
  EXPECT_EQ(to_nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(to_nfc("q\u0307\u0323"), "q\u0323\u0307");  // reordered
  EXPECT_EQ(to_nfc("\u1112\u1161\u11ab"), "\ud55c");    // Hangul
  EXPECT_EQ(to_nfc("\u212b\u2126"), "\u00c5\u03a9");    // singletons
  EXPECT_EQ(to_nfc("\u0958"), "\u0915\u093c");          // excluded from composition
  EXPECT_EQ(to_nfc("x\u0301y"), "x\u0301y");
  EXPECT_EQ(to_nfc("\u0301\u0323"), "\u0323\u0301");  // nothing before the marks
  EXPECT_EQ(to_nfc("\U00011935\U00011930"),
            "\U00011935\U00011930");  // composes since Unicode 13 only
  EXPECT_EQ(to_nfc("a\u0345\U0001E2EC\u0301"),
            "a\u0345\U0001E2EC\u0301");  // a mark since Unicode 12
  EXPECT_TRUE(is_surely_nfc("plain \u00e9 \u4f60 \ud55c"));
  EXPECT_FALSE(is_surely_nfc("e\u0301"));
}

}  // namespace
}  // namespace gallop::text
