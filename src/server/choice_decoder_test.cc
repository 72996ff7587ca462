#include "server/choice_decoder.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace gallop::server {
namespace {

// foal's tokenizer with all of its added tokens marked special, as some models have them.
text::Tokenizer special_tokenizer() {
  Json tree = *load_json_file(GALLOP_SOURCE_DIR "/models/foal/target/tokenizer.json", 64 << 20,
                              {.max_keys = 1 << 16});
  for (Json& token : tree["added_tokens"]) token["special"] = true;
  return *text::Tokenizer::from_text(dump_json(tree), "");
}

std::string decoded(const std::string& text, bool parse_tools) {
  static const text::Tokenizer kTokenizer = special_tokenizer();
  ChoiceDecoderOptions options;
  options.parser = {true, parse_tools, nullptr};
  ChoiceDecoder decoder(kTokenizer, options);
  ChoiceDecoder::Pieces pieces;
  const std::vector<int32_t> ids = *kTokenizer.encode(text, false);
  for (const int32_t id : ids) decoder.add(id, pieces);
  decoder.finish(pieces);
  std::string out;
  for (const text::OutputPiece& piece : pieces) {
    out += "[" + std::to_string(static_cast<int>(piece.kind)) + ":" + piece.text + "]";
  }
  return out;
}

TEST(ChoiceDecoder, MarkersMayBeSpecialTokens) {
  const std::string call = "<tool_call>\n<function=f>\n</function>\n</tool_call>";
  EXPECT_EQ(decoded("why</think>so<|im_start|>" + call, true), "[0:why][1:so][2:f][3:{}]");
  // Without tools the form of a call is content, from which special tokens are dropped.
  EXPECT_EQ(decoded("why</think>" + call, false), "[0:why][1:\n<function=f>\n</function>\n]");
}

}  // namespace
}  // namespace gallop::server
