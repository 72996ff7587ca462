// The streaming half of reading a tokenizer.json: model.vocab and model.merges become flat lists,
// everything else a small JSON tree.
#pragma once

#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "text/tokenizer_bpe.h"

namespace gallop::text {

struct TokenizerJson {
  Json tree;  // model.vocab and model.merges are null in it
  bool has_vocabulary = false;
  bool has_merges = false;
  BpeSpec bpe;  // vocabulary and merges
};

// Bounds outside of vocab and merges: nesting 64, 16,384 keys an object, 500,000,000 comparisons of
// keys, 1,000,000 elements.
Result<TokenizerJson> read_tokenizer_json(std::string_view text);

}  // namespace gallop::text
