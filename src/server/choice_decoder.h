// From the tokens of one choice to reasoning, content and tool calls: detokeniser, stop strings,
// output parser. Works token by token, so the result does not depend on how many tokens arrive
// together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/detokenizer.h"
#include "text/output_parser.h"
#include "text/stop_matcher.h"
#include "text/tokenizer.h"

namespace gallop::server {

struct ChoiceDecoderOptions {
  bool skip_special = true;
  std::vector<std::string> stop;
  bool include_stop = false;  // the stop string is part of the text
  int32_t min_tokens = 0;     // stop strings are looked for in what comes after so many tokens
  text::OutputParserOptions parser;
};

class ChoiceDecoder {
 public:
  using Pieces = std::vector<text::OutputPiece>;

  // The tokenizer must outlive this.
  ChoiceDecoder(const text::Tokenizer& tokenizer, ChoiceDecoderOptions options);

  // Adds a token's text. After stopped() nothing more may be added.
  void add(int32_t token, Pieces& pieces);
  // Counts a token that ends the answer and has no text.
  void add_stop_token();
  // The end of the answer: what was held back. Not after stopped().
  void finish(Pieces& pieces);

  bool stopped() const { return stopped_; }
  const std::string& stop_string() const { return stop_string_; }
  bool in_reasoning() const { return parser_.in_reasoning(); }
  int32_t tool_calls() const { return parser_.tool_calls(); }
  int64_t tokens() const { return tokens_; }
  int64_t reasoning_tokens() const { return reasoning_tokens_; }

 private:
  void feed(std::string_view text, Pieces& pieces);

  text::OutputParser parser_;
  text::Detokenizer detokenizer_;
  text::StopMatcher matcher_;
  bool include_stop_;
  int32_t min_tokens_;
  int64_t tokens_ = 0;
  int64_t reasoning_tokens_ = 0;
  bool stopped_ = false;
  std::string stop_string_;
};

}  // namespace gallop::server
