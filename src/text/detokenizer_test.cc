#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/file.h"
#include "text/tokenizer_test_model.h"
#include "text/unicode.h"

namespace gallop::text {
namespace {

using Ids = std::vector<int32_t>;

Tokenizer byte_tokenizer() {
  Json tree = testing::small_tokenizer({{"\xF0\x9F", "\x9A"}});
  tree["model"]["vocab"][testing::in_byte_alphabet("\xF0\x9F")] = 257;
  tree["added_tokens"] = {testing::added_token("<s>", 258, "special")};
  Result<Tokenizer> tokenizer = Tokenizer::from_text(tree.dump(), "");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(tokenizer).value();
}

TEST(Detokenizer, HoldsBackUnfinishedCharacters) {
  const Tokenizer tokenizer = byte_tokenizer();
  Detokenizer stream(tokenizer, false);
  EXPECT_EQ(stream.append('a'), "a");
  EXPECT_EQ(stream.append(256), "");  // F0 9F 9A
  EXPECT_EQ(stream.append(0x80), "\U0001F680");
  EXPECT_EQ(stream.append(0xC3), "");
  EXPECT_EQ(stream.append('b'),
            "\uFFFD"
            "b");  // certain now
  EXPECT_EQ(stream.append(0xE4), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.finish(), "");
}

std::string stream_all(const Tokenizer& tokenizer, bool skip_special, const Ids& ids) {
  Detokenizer stream(tokenizer, skip_special);
  std::string text;
  for (const int32_t id : ids) {
    const std::string part = stream.append(id);
    EXPECT_TRUE(is_valid_utf8(part));
    text += part;
  }
  return text + stream.finish();
}

TEST(Detokenizer, SpecialTokens) {
  const Tokenizer tokenizer = byte_tokenizer();
  EXPECT_EQ(stream_all(tokenizer, true, {0xC3, 258, 0xA9}), "\u00e9");
  EXPECT_EQ(stream_all(tokenizer, false, {0xC3, 258, 0xA9}), "\uFFFD<s>\uFFFD");
}

TEST(Detokenizer, AnyStreamOfTokensEqualsDecode) {
  const Tokenizer tokenizer = byte_tokenizer();
  std::mt19937 random(11);
  for (int run = 0; run < 3000; ++run) {
    Ids ids;
    for (size_t i = random() % 12; i > 0; --i) {
      // Bytes from the ranges where UTF-8 decides, else anything.
      ids.push_back(static_cast<int32_t>(random() % 2 ? 0x80 + random() % 0x80 : random() % 259));
    }
    const bool skip = random() % 2 == 0;
    ASSERT_EQ(stream_all(tokenizer, skip, ids), tokenizer.decode(ids, skip).value());
  }
}

TEST(Detokenizer, FoalStream) {
  const std::filesystem::path foal =
      std::filesystem::path(GALLOP_SOURCE_DIR) / "models" / "foal" / "target";
  const Tokenizer tokenizer = Tokenizer::load(foal).value();
  const std::string text =
      read_file(foal / "samples.txt", 1 << 20).value() + " \U0001F680\u4f60\u0301";
  EXPECT_EQ(stream_all(tokenizer, false, *tokenizer.encode(text, false)), text);
}

}  // namespace
}  // namespace gallop::text
