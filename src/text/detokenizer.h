// Tokens to text, incrementally: never emits half a character.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace gallop::text {

// One stream of tokens. The concatenation of all that append() and finish() return equals the
// byte-level decoding of the whole stream; bytes that can not become UTF-8 turn into U+FFFD as soon
// as that is certain, an unfinished character at the end turns into U+FFFD in finish().
class Detokenizer {
 public:
  // Special tokens give no text when `skip_special` is set, but for those of `kept`. The tokenizer
  // must outlive this.
  Detokenizer(const Tokenizer& tokenizer, bool skip_special, std::vector<int32_t> kept = {});

  // Adds a token; returns the complete characters that are now certain (may be empty).
  std::string append(int32_t token);

  // Returns what was held back.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::vector<int32_t> kept_;
  std::string pending_;  // bytes of an unfinished character, at most 3
};

}  // namespace gallop::text
