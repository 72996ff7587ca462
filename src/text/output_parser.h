// One streaming machine that splits a model's answer into reasoning, content and tool calls:
// reasoning </think> content <tool_call>\n<function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>\n
// </function>\n</tool_call>, the XML-like form of Qwen3.5.
// Tolerated, because models do it: <tool_call> inside reasoning (ends it), a missing <tool_call>,
// </tool_call>, </function> or </parameter>, repeated <think>, </think>. Markers never show.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace gallop::text {

// A piece of the answer. Text pieces of one kind concatenate; a tool call begins with kToolName,
// its kToolArguments fragments concatenate to one valid JSON object.
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
// every split. Text that may still become a marker is held back; so is white space that would be
// the only content around a tool call, and a value that its schema may turn into a non-string.
class OutputParser {
 public:
  explicit OutputParser(OutputParserOptions options);

  // The markers that are tokens of their own in some vocabularies and mean something under the
  // options: their text must come in even where the tokenizer calls them special.
  std::vector<std::string_view> token_markers() const;

  std::vector<OutputPiece> append(std::string_view text);
  // The end of the answer: what was held back; an unfinished call is closed.
  std::vector<OutputPiece> finish();

  // True while inside reasoning.
  bool in_reasoning() const { return state_ == State::kReasoning; }
  int32_t tool_calls() const { return calls_; }

 private:
  enum class State { kReasoning, kContent, kName, kFunction, kKey, kValue };
  enum class Marker;

  static std::string_view marker_text(Marker marker);
  std::vector<Marker> markers() const;
  bool step();
  bool step_label();
  void take_text(std::string_view text);
  void take_content(std::string_view text);
  void take_value(std::string_view text);
  void take_marker(Marker marker);
  void take_content_marker(Marker marker);
  void begin_function(std::string_view name);
  void begin_parameter(std::string_view key);
  void end_parameter();
  void end_function();
  void emit(OutputPiece::Kind kind, std::string_view text);

  OutputParserOptions options_;
  State state_;
  std::string held_;                 // text not yet decided
  std::vector<OutputPiece> pieces_;  // the result of the current call
  int32_t calls_ = 0;

  // Content since the start or the last tool marker, while it is white space only.
  std::string blank_;
  bool blank_so_far_ = true;
  bool think_may_open_ = false;  // nothing but white space yet, and the prompt did not open <think>
  bool tool_marker_seen_ = false;

  // The open call.
  std::string function_;
  int32_t parameters_ = 0;
  bool value_streams_ = false;  // the value is a string for certain
  bool value_started_ = false;
  const Json* value_schema_ = nullptr;  // inside options_.tools; null: no schema
  std::string value_;                   // when it does not stream
};

}  // namespace gallop::text
