// Reads tokenizer.json and tokenizer_config.json into plain values and refuses, by name, whatever
// the tokenizer would not do exactly as `tokenizers` does. The vocabulary and the merges, up to a
// few 100,000 entries, go past the JSON tree.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/pretokenizer.h"
#include "text/tokenizer_added.h"
#include "text/tokenizer_bpe.h"

namespace gallop::text {

struct DeclaredToken {
  AddedToken token;
  int32_t id;
};

// A part of what the post_processor makes: the text's ids, or fixed ids.
struct TemplatePart {
  bool is_text = false;
  std::vector<int32_t> ids;
};

struct TokenizerSpec {
  BpeSpec bpe;
  bool nfc = false;
  std::vector<PreTokenizerStep> steps;
  std::vector<DeclaredToken> added;         // added_tokens of tokenizer.json
  std::vector<DeclaredToken> config_added;  // added_tokens_decoder, by ascending id
  std::vector<TemplatePart> post;
};

// `config` is empty where there is no tokenizer_config.json. Errors begin with the file's name and
// the key.
Result<TokenizerSpec> parse_tokenizer(std::string_view tokenizer_json, std::string_view config);

}  // namespace gallop::text
