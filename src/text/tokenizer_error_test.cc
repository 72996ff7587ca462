// What a tokenizer.json may not be: each refusal names the key and what was found.
#include <gtest/gtest.h>

#include "text/tokenizer.h"
#include "text/tokenizer_test_model.h"

namespace gallop::text {
namespace {

using testing::added_token;
using testing::small_tokenizer;

std::string error_of(const std::string& tokenizer, const std::string& config = "") {
  const Result<Tokenizer> result = Tokenizer::from_text(tokenizer, config);
  return result.ok() ? "loads" : result.error().message;
}

struct Change {
  std::string pointer;  // RFC 6901
  std::string value;    // JSON; empty: the key is taken out
  std::string message;  // stands in the error
};

void PrintTo(const Change& change, std::ostream* out) { *out << change.pointer << change.value; }

class TokenizerErrors : public ::testing::TestWithParam<Change> {};

TEST_P(TokenizerErrors, NameTheKey) {
  const Change& change = GetParam();
  Json tree = small_tokenizer({{"a", "b"}});
  const Json::json_pointer pointer(change.pointer);
  if (change.value.empty()) {
    tree[pointer.parent_pointer()].erase(pointer.back());
  } else {
    tree[pointer] = Json::parse(change.value);
  }
  const std::string message = error_of(tree.dump());
  EXPECT_NE(message.find(change.message), std::string::npos) << message;
  EXPECT_EQ(message.rfind("tokenizer.json: ", 0), 0u) << message;
}

const Change kChanges[] = {
    {"/version", "\"2.0\"", "version: expected \"1.0\", found \"2.0\""},
    {"/truncation", "{\"max_length\": 4}", "truncation: expected null"},
    {"/padding", "{}", "padding: expected null"},
    {"/extra", "1", "the key \"extra\" is not supported"},
    {"/model", "", "model: expected an object, found null"},
    {"/model/type", "\"Unigram\"", "model: \"Unigram\" is not supported"},
    {"/model/vocab", "", "model.vocab: expected an object, found null"},
    {"/model/vocab", "[]", "model.vocab: expected an object, found array"},
    {"/model/vocab/zz", "-1", "model.vocab[\"zz\"]: expected an id from 0 to 16777215, found -1"},
    {"/model/vocab/zz", "16777216", "found 16777216"},
    {"/model/vocab/zz", "1.5", "found 1.5"},
    {"/model/vocab/zz", "\"1\"", "model.vocab[\"zz\"]: expected an id"},
    {"/model/vocab/zz", "{}", "found an object"},
    {"/model/vocab/zz", "7", "two tokens have the id 7"},
    {"/model/merges", "", "model.merges: expected a list, found null"},
    {"/model/merges", "{}", "model.merges: expected a list, found object"},
    {"/model/merges/0", "\"ab\"", "model.merges[0]: expected \"a b\""},
    {"/model/merges/0", "\"a b c\"", "found \"a b c\""},
    {"/model/merges/0", "[\"a\"]",
     "model.merges[0]: expected \"a b\" or [\"a\", \"b\"], found a list of 1"},
    {"/model/merges/0", "[\"a\", \"b\", \"c\"]", "a list of more than two"},
    {"/model/merges/0", "[\"a\", 1]", "found 1"},
    {"/model/merges/0", "[\"a\", \"c\"]", "model.merges[0]: \"ac\" is not in model.vocab"},
    {"/model/merges/0", "[\"a\", \"\\u4f60\"]", "\u4f60\" is not in model.vocab"},
    {"/model/dropout", "0.1", "model.dropout: expected null or 0, found 0.1"},
    {"/model/continuing_subword_prefix", "\"##\"", "model.continuing_subword_prefix"},
    {"/model/end_of_word_suffix", "\"</w>\"", "model.end_of_word_suffix"},
    {"/model/byte_fallback", "1", "model.byte_fallback: expected true or false, found 1"},
    {"/model/unk_token", "1", "model.unk_token: expected null or a string"},
    {"/model/new_key", "1", "model: the key \"new_key\" is not supported"},
    {"/normalizer", "{\"type\": \"NFKC\"}",
     "normalizer: \"NFKC\" is not supported; supported: null and NFC"},
    {"/normalizer", "3", "normalizer: 3 is not supported"},
    {"/pre_tokenizer", "null", "pre_tokenizer: null is not supported"},
    {"/pre_tokenizer", "{\"type\": \"Metaspace\"}",
     "pre_tokenizer: \"Metaspace\" is not supported"},
    {"/pre_tokenizer/pretokenizers", "{}", "pre_tokenizer.pretokenizers: expected a list"},
    {"/pre_tokenizer/pretokenizers/1/type", "\"Digits\"",
     "pre_tokenizer.pretokenizers[1]: \"Digits\""},
    {"/pre_tokenizer/pretokenizers/1/use_regex", "0",
     "pretokenizers[1].use_regex: expected true or false"},
    {"/pre_tokenizer/pretokenizers/1/add_prefix_space", "", "add_prefix_space: missing"},
    {"/pre_tokenizer/pretokenizers/0/pattern", "{\"String\": \" \"}",
     "the key \"String\" is not supported"},
    {"/pre_tokenizer/pretokenizers/0/pattern/Regex", "\"a+\\\\R\"",
     "pretokenizers[0].pattern: the regex a+\\R is not supported: at byte 4"},
    {"/pre_tokenizer/pretokenizers/0/behavior", "\"Kept\"", "behavior: expected Removed, Isolated"},
    {"/pre_tokenizer/pretokenizers/0/invert", "null", "invert: expected true or false, found null"},
    {"/post_processor", "{\"type\": \"BertProcessing\"}", "post_processor: \"BertProcessing\""},
    {"/post_processor", R"({"type": "TemplateProcessing", "single": [], "special_tokens": {}})",
     "post_processor.single: expected a list that is not empty"},
    {"/post_processor", R"({"type": "TemplateProcessing", "special_tokens": {},
      "single": [{"Sequence": {"id": "B", "type_id": 0}}]})",
     "single[0].Sequence.id: expected \"A\", found \"B\""},
    {"/post_processor", R"({"type": "TemplateProcessing", "special_tokens": {},
      "single": [{"SpecialToken": {"id": "x", "type_id": 0}}]})",
     "post_processor.special_tokens[\"x\"]: expected an object"},
    {"/post_processor", R"({"type": "TemplateProcessing", "special_tokens": {"x": {"ids": [999]}},
      "single": [{"SpecialToken": {"id": "x", "type_id": 0}}]})",
     "post_processor: the id 999 is no token's"},
    {"/decoder", "null", "decoder: null is not supported; supported: ByteLevel"},
    {"/decoder", "{\"type\": \"Fuse\"}", "decoder: \"Fuse\""},
    {"/added_tokens", "{}", "added_tokens: expected a list"},
    {"/added_tokens", "[3]", "added_tokens[0]: expected an object, found 3"},
    {"/added_tokens", R"([{"id": 257, "content": "x"}])", "added_tokens[0].single_word: missing"},
};

INSTANTIATE_TEST_SUITE_P(All, TokenizerErrors, ::testing::ValuesIn(kChanges));

TEST(TokenizerError, AddedTokens) {
  Json tree = small_tokenizer({});
  const auto message = [&](Json tokens) {
    tree["added_tokens"] = std::move(tokens);
    return error_of(tree.dump());
  };
  EXPECT_EQ(message({added_token("<x>", 256)}), "loads");
  EXPECT_NE(message({added_token("<x>", 300)}).find("\"<x>\" must have the id 256"),
            std::string::npos);
  EXPECT_NE(message({added_token("a", 256)}).find("\"a\" must have the id 97"), std::string::npos);
  EXPECT_NE(message({added_token("", 256)}).find("must not be empty"), std::string::npos);
  EXPECT_NE(message({added_token(std::string(5000, 'x'), 256)}).find("5000 bytes"),
            std::string::npos);
  EXPECT_NE(
      message({added_token("g\u0301", 256, "normalized"), added_token("\u01f5", 257, "normalized")})
          .find("the same normalised text"),
      std::string::npos);
  tree["model"]["vocab"]["zz"] = 257;  // 257 entries: the next free id is taken
  EXPECT_NE(message({added_token("<x>", 257)}).find("the id 257 of another token"),
            std::string::npos);
}

TEST(TokenizerError, Config) {
  const std::string tree = small_tokenizer({}).dump();
  EXPECT_EQ(error_of(tree, "{}"), "loads");
  EXPECT_EQ(error_of(tree, "[]"),
            "tokenizer_config.json: the file: expected an object, found array");
  EXPECT_NE(error_of(tree, "{").find("tokenizer_config.json: "), std::string::npos);
  EXPECT_NE(error_of(tree, R"({"added_tokens_decoder": {"x": {"content": "y"}}})")
                .find("added_tokens_decoder[\"x\"]: the key must be an id"),
            std::string::npos);
  EXPECT_NE(error_of(tree, R"({"added_tokens_decoder": {"256": {}}})")
                .find("added_tokens_decoder[\"256\"].content: expected a string"),
            std::string::npos);
  EXPECT_NE(error_of(tree, R"({"added_tokens_decoder": {"299": {"content": "<x>"}}})")
                .find("tokenizer_config.json: the added token \"<x>\" must have the id 256"),
            std::string::npos);
}

TEST(TokenizerError, BrokenJson) {
  const std::string tree = small_tokenizer({{"a", "b"}}).dump();
  for (const std::string text :
       {"", "[]", "null", "{\"model\": {\"vocab\": {\"a\": 1", "\xFF", "{}{}"}) {
    EXPECT_EQ(error_of(text).rfind("tokenizer.json: ", 0), 0u) << text;
  }
  for (size_t length = 0; length < tree.size(); length += 41) {
    EXPECT_NE(error_of(tree.substr(0, length)), "loads");
  }
  EXPECT_NE(error_of(std::string(100, '[')).find("nested deeper than 64 levels"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"model": {"vocab": {}, "vocab": {}}})").find("model.vocab is there twice"),
            std::string::npos);
  EXPECT_NE(
      error_of(R"({"model": {"vocab": {"a": 1, "a": 2}, "merges": []}})").find("tokenizer.json"),
      std::string::npos);
}

TEST(TokenizerError, UnknownTokenNeedsTheWholeAlphabet) {
  Json tree = small_tokenizer({});
  tree["model"]["unk_token"] = "a";
  EXPECT_EQ(error_of(tree.dump()), "loads");
  tree["model"]["vocab"].erase("b");
  EXPECT_NE(error_of(tree.dump()).find("byte 98 has none"), std::string::npos);
}

}  // namespace
}  // namespace gallop::text
