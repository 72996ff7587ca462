#include "text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "text/pretokenizer.h"
#include "text/tokenizer_added.h"
#include "text/tokenizer_bpe.h"
#include "text/tokenizer_json.h"
#include "text/unicode.h"
#include "text/unicode_nfc.h"

namespace gallop::text {
namespace {

constexpr size_t kMaxFileBytes = 64 << 20;

}  // namespace

struct TokenizerModel {
  BpeModel bpe;
  PreTokenizer pre_tokenizer;
  bool nfc;
  std::vector<TemplatePart> post;
  AddedVocabulary added;

  // What decoding needs: each token's bytes, by id; one after the other in `bytes`.
  struct Token {
    uint32_t begin = 0;
    uint32_t size = 0;
    bool known = false;
    bool special = false;
  };
  std::vector<Token> tokens;
  std::string bytes;

  Result<void> add_tokens(const std::vector<DeclaredToken>& declared, std::string_view where);
  void set_token(std::string_view content, int32_t id, bool special);
  Result<void> build_tokens();
  Result<void> encode_text(std::string_view text, PreTokenizer::Pieces& pieces,
                           BpeModel::Scratch& scratch, std::vector<int32_t>& out) const;
  Result<void> encode_parts(std::string_view text, std::vector<int32_t>& out) const;
};

// `tokenizers` gives ids by its own rule and ignores the declared ones; where the two differ the
// files are wrong about one of them.
Result<void> TokenizerModel::add_tokens(const std::vector<DeclaredToken>& declared,
                                        std::string_view where) {
  for (const DeclaredToken& entry : declared) {
    const std::optional<int32_t> model_id = bpe.id_of(entry.token.content);
    const int32_t id = added.add(entry.token, model_id);
    if (id != entry.id) {
      return Error{
          fmt::format("{}: the added token \"{}\" must have the id {} (the next free one, "
                      "or that of the equal token), found {}",
                      where, entry.token.content, id, entry.id)};
    }
  }
  return {};
}

void TokenizerModel::set_token(std::string_view content, int32_t id, bool special) {
  const auto index = static_cast<size_t>(id);
  if (index >= tokens.size()) tokens.resize(index + 1);
  const std::string raw = bytes_of_characters(content).value_or(std::string(content));
  tokens[index] = {static_cast<uint32_t>(bytes.size()), static_cast<uint32_t>(raw.size()), true,
                   special};
  bytes += raw;
}

Result<void> TokenizerModel::build_tokens() {
  int32_t last = -1;
  for (const auto& [content, id] : bpe.vocabulary()) last = std::max(last, id);
  tokens.resize(static_cast<size_t>(last + 1));
  for (const auto& [content, id] : bpe.vocabulary()) {
    set_token(content, id, added.is_special(content));
  }
  for (const auto& [id, entry] : added.entries()) {
    if (id <= last && tokens[static_cast<size_t>(id)].known &&
        bpe.id_of(entry.token.content) != id) {
      return Error{
          fmt::format("tokenizer.json: the added token \"{}\" has the id {} of another "
                      "token; ids must be unique",
                      entry.token.content, id)};
    }
    set_token(entry.decoded, id, added.is_special(entry.decoded));
  }
  for (const TemplatePart& part : post) {
    for (const int32_t id : part.ids) {
      if (static_cast<size_t>(id) < tokens.size() && tokens[static_cast<size_t>(id)].known)
        continue;
      return Error{fmt::format("tokenizer.json: post_processor: the id {} is no token's", id)};
    }
  }
  return {};
}

Result<void> TokenizerModel::encode_text(std::string_view text, PreTokenizer::Pieces& pieces,
                                         BpeModel::Scratch& scratch,
                                         std::vector<int32_t>& out) const {
  RETURN_IF_ERROR(pre_tokenizer.split(text, pieces));
  for (const std::string_view piece : pieces.views) bpe.encode(piece, scratch, out);
  return {};
}

// Added tokens of the raw text first, then, in what is left, NFC, added tokens of normalised text,
// and BPE: the order of `tokenizers`.
Result<void> TokenizerModel::encode_parts(std::string_view text, std::vector<int32_t>& out) const {
  PreTokenizer::Pieces pieces;
  BpeModel::Scratch scratch;
  std::vector<AddedVocabulary::Part> raw_parts;
  std::vector<AddedVocabulary::Part> parts;
  added.split(text, false, raw_parts);
  for (const AddedVocabulary::Part& raw : raw_parts) {
    if (raw.id >= 0) {
      out.push_back(raw.id);
      continue;
    }
    std::string normalized;
    std::string_view part_text = raw.text;
    if (nfc && !is_surely_nfc(part_text)) {
      normalized = to_nfc(part_text);
      part_text = normalized;
    }
    parts.clear();
    added.split(part_text, true, parts);
    for (const AddedVocabulary::Part& part : parts) {
      if (part.id >= 0) {
        out.push_back(part.id);
      } else {
        RETURN_IF_ERROR(encode_text(part.text, pieces, scratch, out));
      }
    }
  }
  return {};
}

Result<Tokenizer> Tokenizer::from_text(std::string_view tokenizer_json,
                                       std::string_view config_json) {
  ASSIGN_OR_RETURN(TokenizerSpec spec, parse_tokenizer(tokenizer_json, config_json));
  PreTokenizer pre_tokenizer(std::move(spec.steps));
  Result<BpeModel> bpe = BpeModel::make(std::move(spec.bpe), pre_tokenizer.pieces_are_bytes());
  if (!bpe.ok()) return Error{"tokenizer.json: " + bpe.error().message};
  const size_t model_size = bpe.value().size();
  auto model =
      std::make_unique<TokenizerModel>(TokenizerModel{std::move(bpe).value(),
                                                      std::move(pre_tokenizer),
                                                      spec.nfc,
                                                      std::move(spec.post),
                                                      AddedVocabulary(spec.nfc, model_size),
                                                      {},
                                                      {}});
  RETURN_IF_ERROR(model->add_tokens(spec.added, "tokenizer.json"));
  RETURN_IF_ERROR(model->add_tokens(spec.config_added, "tokenizer_config.json"));
  const Result<void> built = model->added.build_tries();
  if (!built.ok()) return Error{"tokenizer.json: " + built.error().message};
  RETURN_IF_ERROR(model->build_tokens());
  return Tokenizer(std::move(model));
}

Result<Tokenizer> Tokenizer::load(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "tokenizer.json";
  const std::filesystem::path config_path = directory / "tokenizer_config.json";
  if (!file_exists(path)) {
    return Error{path.string() + ": no such file", ErrorCode::kNotFound, path.string()};
  }
  ASSIGN_OR_RETURN(const std::string text, read_file(path, kMaxFileBytes));
  std::string config;
  if (file_exists(config_path)) {
    ASSIGN_OR_RETURN(config, read_file(config_path, kMaxFileBytes));
    if (config.empty()) return Error{config_path.string() + ": expected JSON, found an empty file"};
  }
  Result<Tokenizer> tokenizer = from_text(text, config);
  if (!tokenizer.ok()) {
    return Error{(directory / tokenizer.error().message).string(), tokenizer.error().code};
  }
  return tokenizer;
}

Tokenizer::Tokenizer(std::unique_ptr<TokenizerModel> model) : model_(std::move(model)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view utf8, bool add_special) const {
  std::string repaired;
  if (!is_valid_utf8(utf8)) {
    append_lossy_utf8(repaired, utf8, true);
    utf8 = repaired;
  }
  std::vector<int32_t> ids;
  if (!add_special) {
    RETURN_IF_ERROR(model_->encode_parts(utf8, ids));
    return ids;
  }
  for (const TemplatePart& part : model_->post) {
    if (part.is_text) {
      RETURN_IF_ERROR(model_->encode_parts(utf8, ids));
    } else {
      ids.insert(ids.end(), part.ids.begin(), part.ids.end());
    }
  }
  return ids;
}

Result<std::string> Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocab_limit() || !model_->tokens[static_cast<size_t>(id)].known) {
      return Error{fmt::format("{} is not the id of a token", id)};
    }
    if (!skip_special || !is_special(id)) bytes += token_bytes(id);
  }
  std::string text;
  append_lossy_utf8(text, bytes, true);
  return text;
}

std::string_view Tokenizer::token_bytes(int32_t id) const {
  if (id < 0 || id >= vocab_limit()) return {};
  const TokenizerModel::Token& token = model_->tokens[static_cast<size_t>(id)];
  return std::string_view(model_->bytes).substr(token.begin, token.size);
}

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_limit() && model_->tokens[static_cast<size_t>(id)].special;
}

std::optional<int32_t> Tokenizer::token_id(std::string_view content) const {
  const std::optional<int32_t> id = model_->added.id_of(content);
  return id ? id : model_->bpe.id_of(content);
}

int32_t Tokenizer::vocab_limit() const { return static_cast<int32_t>(model_->tokens.size()); }

}  // namespace gallop::text
