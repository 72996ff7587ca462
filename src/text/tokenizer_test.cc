#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "base/file.h"
#include "text/tokenizer_test_model.h"
#include "text/unicode_nfc.h"

namespace gallop::text {
namespace {

using testing::added_token;
using testing::Merges;
using testing::small_tokenizer;
using Ids = std::vector<int32_t>;

const std::filesystem::path kFoal =
    std::filesystem::path(GALLOP_SOURCE_DIR) / "models" / "foal" / "target";

Tokenizer make(const Json& tree, const std::string& config = "") {
  Result<Tokenizer> tokenizer = Tokenizer::from_text(tree.dump(), config);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(tokenizer).value();
}

Ids bytes_of(std::string_view text) {
  Ids ids;
  for (const char byte : text) ids.push_back(static_cast<uint8_t>(byte));
  return ids;
}

TEST(Tokenizer, MergesTheLowestRankFirstThenTheLeftmost) {
  const Tokenizer tokenizer =
      make(small_tokenizer({{"a", "a"}, {"b", "c"}, {"a", "b"}, {"aa", "b"}}));
  EXPECT_EQ(*tokenizer.encode("aaaaa", false), (Ids{256, 256, 'a'}));
  EXPECT_EQ(*tokenizer.encode("abc", false), (Ids{'a', 257}));  // b+c before a+b
  EXPECT_EQ(*tokenizer.encode("aab", false), (Ids{259}));
  EXPECT_EQ(*tokenizer.encode("", true), Ids{});
}

TEST(Tokenizer, LeavesOutBytesWithoutToken) {
  Json tree = small_tokenizer({{"a", "c"}});
  tree["model"]["vocab"].erase("b");
  const Tokenizer tokenizer = make(tree);
  EXPECT_EQ(*tokenizer.encode("abc", false), Ids{256});
}

TEST(Tokenizer, IgnoreMergesTakesWholePieces) {
  Json tree = small_tokenizer({{"a", "b"}});
  tree["model"]["vocab"]["abc"] = 257;
  EXPECT_EQ(*make(tree).encode("abc abc", false), (Ids{256, 'c', ' ', 256, 'c'}));
  tree["model"]["ignore_merges"] = true;
  EXPECT_EQ(*make(tree).encode("abc abc", false), (Ids{257, ' ', 256, 'c'}));
}

TEST(Tokenizer, ReadsMergesAsStrings) {
  Json tree = small_tokenizer({{"a", "b"}});
  tree["model"]["merges"] = {"#version: 0.2", "a b"};
  EXPECT_EQ(*make(tree).encode("ab", false), Ids{256});
}

// The definition of BPE, quadratic: the lowest-ranked pair, leftmost first, until there is none.
Ids naive_bpe(const std::string& text, const std::map<std::pair<int32_t, int32_t>, Ids>& merges) {
  Ids ids = bytes_of(text);
  while (true) {
    int32_t best = INT32_MAX;
    size_t at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto merge = merges.find({ids[i], ids[i + 1]});
      if (merge != merges.end() && merge->second[0] < best) {
        best = merge->second[0];
        at = i;
      }
    }
    if (best == INT32_MAX) return ids;
    ids[at] = merges.at({ids[at], ids[at + 1]})[1];
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

TEST(Tokenizer, EqualsTheNaiveAlgorithmOnWordsOfAnyLength) {
  std::mt19937 random(5);
  std::vector<std::string> texts = {"a", "b", "c"};
  Merges merges;
  for (int i = 0; i < 60; ++i) {
    const std::string& left = texts[random() % texts.size()];
    const std::string& right = texts[random() % texts.size()];
    if (left.size() + right.size() > 12) continue;
    merges.emplace_back(left, right);
    texts.push_back(left + right);
  }
  const Tokenizer tokenizer = make(small_tokenizer(merges));
  std::map<std::pair<int32_t, int32_t>, Ids> table;
  const auto id = [&](const std::string& text) { return *tokenizer.token_id(text); };
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    table[{id(left), id(right)}] = {static_cast<int32_t>(rank), id(left + right)};
  }
  for (int i = 0; i < 2000; ++i) {
    std::string word;
    const size_t length = 1 + random() % (i % 4 == 0 ? 400 : 60);
    for (size_t j = 0; j < length; ++j) word += static_cast<char>('a' + random() % 3);
    ASSERT_EQ(*tokenizer.encode(word, false), naive_bpe(word, table)) << word;
  }
}

TEST(Tokenizer, LongInputsAreNotQuadratic) {
  const Tokenizer foal = Tokenizer::load(kFoal).value();
  Json tree = small_tokenizer({{"a", "a"}, {"aa", "aa"}});
  tree["added_tokens"] = {added_token("  ", 258, "lstrip rstrip"),
                          added_token("\n\n", 259, "lstrip")};
  const Tokenizer spaces = make(tree);
  std::string marks = "a";
  for (int i = 0; i < 200'000; ++i) marks += i % 2 == 0 ? "\u0301" : "\u0323";
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& text : {std::string(1 << 20, 'a'), std::string(1 << 20, ' '), marks,
                                  std::string(1 << 20, '\n'), std::string(1 << 20, '<')}) {
    EXPECT_FALSE(foal.encode(text, false)->empty());
    EXPECT_FALSE(spaces.encode(text, false)->empty());
  }
  // Measured: under 1 s in a release build; quadratic work on 2^20 bytes takes minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST(Tokenizer, AddedTokensAndTheirFlags) {
  Json tree = small_tokenizer({});
  tree["added_tokens"] = {
      added_token("<x>", 256, "special"),     added_token("<x>y", 257),
      added_token("<L>", 258, "lstrip"),      added_token("<R>", 259, "rstrip"),
      added_token("<W>", 260, "single_word"), added_token("\u01f5", 261, "normalized")};
  const Tokenizer tokenizer = make(tree);
  EXPECT_EQ(*tokenizer.encode("<x><x>y", false), (Ids{256, 257}));  // the longest
  EXPECT_EQ(*tokenizer.encode("a \t<L>b", false), (Ids{'a', 258, 'b'}));
  EXPECT_EQ(*tokenizer.encode("a<R> \u3000b", false), (Ids{'a', 259, 'b'}));
  EXPECT_EQ(*tokenizer.encode("<W> a<W> <W>.", false),
            (Ids{260, ' ', 'a', '<', 'W', '>', ' ', 260, '.'}));
  EXPECT_EQ(*tokenizer.encode("xg\u0301", false), (Ids{'x', 261}));  // normalised first
  EXPECT_EQ(tokenizer.token_id("<x>"), 256);
  EXPECT_TRUE(tokenizer.is_special(256));
  EXPECT_FALSE(tokenizer.is_special(257));
  EXPECT_FALSE(tokenizer.is_special(-1));
  EXPECT_EQ(tokenizer.vocab_limit(), 262);
  EXPECT_EQ(tokenizer.decode(Ids{256, 'a', 257}, true).value(), "a<x>y");
  EXPECT_EQ(tokenizer.decode(Ids{256, 'a'}, false).value(), "<x>a");
}

TEST(Tokenizer, ConfigAddsTokensAndChangesFlags) {
  Json tree = small_tokenizer({});
  tree["added_tokens"] = {added_token("<x>", 256)};
  const std::string config = R"({"added_tokens_decoder": {
      "257": {"content": "<y>", "special": true},
      "256": {"content": "<x>", "lstrip": true, "normalized": false, "special": true}}})";
  const Tokenizer tokenizer = make(tree, config);
  EXPECT_EQ(*tokenizer.encode("a <x><y>", false), (Ids{'a', 256, 257}));
  EXPECT_TRUE(tokenizer.is_special(256));
}

TEST(Tokenizer, DecodesAddedTokensThroughTheByteMap) {
  Json tree = small_tokenizer({});
  tree["added_tokens"] = {added_token("\u00e9!", 256), added_token("a b", 257)};
  const Tokenizer tokenizer = make(tree);
  EXPECT_EQ(tokenizer.token_bytes(256), "\xE9!");
  EXPECT_EQ(tokenizer.decode(Ids{256}, false).value(), "\uFFFD!");
  EXPECT_EQ(tokenizer.decode(Ids{257}, false).value(), "a b");  // a space is outside of the map
  EXPECT_EQ(tokenizer.decode(Ids{258}, false).error().message, "258 is not the id of a token");
  EXPECT_EQ(tokenizer.token_bytes(258), "");
}

TEST(Tokenizer, PostProcessorAppliesOnDemand) {
  Json tree = small_tokenizer({});
  tree["post_processor"] = Json::parse(R"({"type": "Sequence", "processors": [
      {"type": "ByteLevel"},
      {"type": "TemplateProcessing", "pair": [],
       "single": [{"SpecialToken": {"id": "B", "type_id": 0}},
                  {"Sequence": {"id": "A", "type_id": 0}}],
       "special_tokens": {"B": {"id": "B", "ids": [1, 2], "tokens": ["B", "B"]}}}]})");
  const Tokenizer tokenizer = make(tree);
  EXPECT_EQ(*tokenizer.encode("x", true), (Ids{1, 2, 'x'}));
  EXPECT_EQ(*tokenizer.encode("x", false), (Ids{'x'}));
  EXPECT_EQ(*tokenizer.encode("", true), (Ids{1, 2}));
}

TEST(Tokenizer, BytesThatAreNoUtf8CountAsReplacementCharacters) {
  const Tokenizer tokenizer = make(small_tokenizer({}));
  EXPECT_EQ(*tokenizer.encode("a\xFF\xC3", false), *tokenizer.encode("a\uFFFD\uFFFD", false));
}

TEST(Tokenizer, FoalGivesTextsBack) {
  const Tokenizer tokenizer = Tokenizer::load(kFoal).value();
  const std::string samples = read_file(kFoal / "samples.txt", 1 << 20).value();
  std::vector<std::string> texts = {samples,
                                    "",
                                    " ",
                                    "caf\u00e9 \u4f60\u597d\U0001F680\r\n\t 123",
                                    "\uFFFD\u0000x",
                                    "e\u0301\u0323 \u1112\u1161\u11ab"};
  for (const std::string& text : texts) {
    const Ids ids = *tokenizer.encode(text, true);
    EXPECT_EQ(tokenizer.decode(ids, false).value(), to_nfc(text));
  }
  EXPECT_LT(tokenizer.encode(samples, false)->size(), samples.size() / 2);
  const Ids chat = *tokenizer.encode("<|im_start|>user\n", false);
  EXPECT_EQ(chat.front(), tokenizer.token_id("<|im_start|>"));
  EXPECT_TRUE(tokenizer.is_special(chat.front()));
}

TEST(Tokenizer, SeveralThreadsGetTheSameIds) {
  const Tokenizer tokenizer = Tokenizer::load(kFoal).value();
  const std::string text = read_file(kFoal / "samples.txt", 1 << 20).value().substr(0, 20'000);
  const Ids expected = *tokenizer.encode(text, true);
  std::vector<Ids> found(4);
  std::vector<std::thread> threads;
  for (Ids& ids : found) {
    threads.emplace_back([&] { ids = *tokenizer.encode(text, true); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Ids& ids : found) EXPECT_EQ(ids, expected);
}

TEST(Tokenizer, MissingFileIsNotFound) {
  const Result<Tokenizer> tokenizer = Tokenizer::load("/nowhere");
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.error().code, ErrorCode::kNotFound);
  EXPECT_NE(tokenizer.error().message.find("/nowhere/tokenizer.json"), std::string::npos);
}

}  // namespace
}  // namespace gallop::text
