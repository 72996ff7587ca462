#include "server/choice_decoder.h"

#include <utility>

#include "base/check.h"

namespace gallop::server {
namespace {

// Pieces that continue each other become one, so that an event of many tokens makes one delta.
void append(std::vector<text::OutputPiece> more, ChoiceDecoder::Pieces& pieces) {
  for (text::OutputPiece& piece : more) {
    const bool continues = !pieces.empty() && pieces.back().kind == piece.kind &&
                           pieces.back().tool_index == piece.tool_index &&
                           piece.kind != text::OutputPiece::Kind::kToolName;
    if (continues) {
      pieces.back().text += piece.text;
    } else {
      pieces.push_back(std::move(piece));
    }
  }
}

std::vector<int32_t> ids_of(const text::Tokenizer& tokenizer,
                            const std::vector<std::string_view>& tokens) {
  std::vector<int32_t> ids;
  for (const std::string_view token : tokens) {
    if (const auto id = tokenizer.token_id(token)) ids.push_back(*id);
  }
  return ids;
}

}  // namespace

ChoiceDecoder::ChoiceDecoder(const text::Tokenizer& tokenizer, ChoiceDecoderOptions options)
    : parser_(std::move(options.parser)),
      detokenizer_(tokenizer, options.skip_special, ids_of(tokenizer, parser_.token_markers())),
      matcher_(std::move(options.stop)),
      include_stop_(options.include_stop),
      min_tokens_(options.min_tokens) {}

void ChoiceDecoder::add(int32_t token, Pieces& pieces) {
  CHECK(!stopped_);
  ++tokens_;
  if (parser_.in_reasoning()) ++reasoning_tokens_;
  feed(detokenizer_.append(token), pieces);
}

void ChoiceDecoder::add_stop_token() {
  ++tokens_;
  if (parser_.in_reasoning()) ++reasoning_tokens_;
}

void ChoiceDecoder::finish(Pieces& pieces) {
  CHECK(!stopped_);
  feed(detokenizer_.finish(), pieces);
  if (stopped_) return;
  append(parser_.append(matcher_.finish()), pieces);
  append(parser_.finish(), pieces);
}

void ChoiceDecoder::feed(std::string_view text, Pieces& pieces) {
  if (text.empty()) return;
  if (tokens_ <= min_tokens_) {
    append(parser_.append(text), pieces);
    return;
  }
  text::StopMatcher::Match match = matcher_.append(text);
  if (match.stopped && include_stop_) match.text += match.stop_string;
  append(parser_.append(match.text), pieces);
  if (!match.stopped) return;
  stopped_ = true;
  stop_string_ = std::move(match.stop_string);
  append(parser_.finish(), pieces);
}

}  // namespace gallop::server
