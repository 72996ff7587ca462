// One streaming machine that splits a model's answer into reasoning, content and tool calls, the
// Qwen3.5 XML form (reference: the model card's template; shared shapes in docs).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace gallop::text {

// A piece of the answer. Text pieces of one kind concatenate; a tool call begins with kToolName,
// its kToolArguments fragments concatenate to valid JSON.
struct OutputPiece {
  enum class Kind { kReasoning, kContent, kToolName, kToolArguments };
  Kind kind = Kind::kContent;
  std::string text;
  int32_t tool_index = -1;  // which call, from 0, for kToolName and kToolArguments

  bool operator==(const OutputPiece&) const = default;
};

struct OutputParserOptions {
  bool starts_in_reasoning = false;  // the prompt ended inside <think>
  bool parse_tools = false;          // false: <tool_call> is content
  Json tools = nullptr;              // the request's tools: argument values are coerced by schema
};

// Feed it decoded text in any split; the pieces of equal kind concatenate to the same strings for
// every split. Marker text never leaks, text that may still become a marker is held back.
class OutputParser {
 public:
  explicit OutputParser(OutputParserOptions options);

  std::vector<OutputPiece> append(std::string_view text);
  // The end of the answer: what was held back; an unfinished call is closed.
  std::vector<OutputPiece> finish();

  // True while inside reasoning.
  bool in_reasoning() const { return state_ == State::kReasoning; }
  int32_t tool_calls() const { return calls_; }

 private:
  enum class State { kReasoning, kContent, kCall, kFunction, kParameter };
  OutputParserOptions options_;
  State state_;
  std::string held_;  // text not yet decided
  int32_t calls_ = 0;
};

}  // namespace gallop::text
