// Byte-level BPE as Hugging Face `tokenizers` runs it, from tokenizer.json and
// tokenizer_config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace gallop::text {

struct TokenizerModel;  // vocabulary, merges, added tokens, pre-tokenizer; private to tokenizer.cc

class Tokenizer {
 public:
  // Reads DIR/tokenizer.json and, where present, the added_tokens_decoder of
  // DIR/tokenizer_config.json. Anything in the files that is not supported is a named error.
  static Result<Tokenizer> load(const std::filesystem::path& directory);

  // The same from the files' texts; `config_json` is empty where there is none.
  static Result<Tokenizer> from_text(std::string_view tokenizer_json, std::string_view config_json);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Token ids of UTF-8 text (bytes that are none count as U+FFFD). Added tokens in the text are
  // recognised; `add_special` applies the post_processor. An error is that of a pre-tokenizer's
  // regex, one without a hand-written scanner, that exceeds its limits. This and all else here may
  // be called from several threads at once.
  Result<std::vector<int32_t>> encode(std::string_view utf8, bool add_special) const;

  // Text of the ids as `tokenizers` decodes them; bytes that are no UTF-8 become U+FFFD. An unknown
  // id is an error.
  Result<std::string> decode(std::span<const int32_t> ids, bool skip_special) const;

  // The raw bytes that one token stands for: its content read in GPT-2's byte alphabet or, where a
  // character is outside of it, the content itself (`tokenizers` decodes added tokens so too).
  // Empty for an unknown id.
  std::string_view token_bytes(int32_t id) const;

  // True for added tokens marked special.
  bool is_special(int32_t id) const;

  // The id of an added or vocabulary token with exactly this content.
  std::optional<int32_t> token_id(std::string_view content) const;

  // Largest id + 1: ids at or beyond it are padding rows of the model.
  int32_t vocab_limit() const;

 private:
  explicit Tokenizer(std::unique_ptr<TokenizerModel> model);
  std::unique_ptr<TokenizerModel> model_;
};

}  // namespace gallop::text
