#include "text/detokenizer.h"

#include <algorithm>
#include <utility>

#include "text/unicode.h"

namespace gallop::text {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool skip_special, std::vector<int32_t> kept)
    : tokenizer_(tokenizer), skip_special_(skip_special), kept_(std::move(kept)) {}

std::string Detokenizer::append(int32_t token) {
  std::string text;
  const bool kept = std::find(kept_.begin(), kept_.end(), token) != kept_.end();
  if (skip_special_ && !kept && tokenizer_.is_special(token)) return text;
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
