#include "text/detokenizer.h"

#include "text/unicode.h"

namespace gallop::text {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {}

std::string Detokenizer::append(int32_t token) {
  std::string text;
  if (skip_special_ && tokenizer_.is_special(token)) return text;
  pending_ += tokenizer_.token_bytes(token);
  pending_.erase(0, append_lossy_utf8(text, pending_, false));
  return text;
}

std::string Detokenizer::finish() {
  std::string text;
  append_lossy_utf8(text, pending_, true);
  pending_.clear();
  return text;
}

}  // namespace gallop::text
