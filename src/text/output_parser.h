// One streaming machine that splits a model's answer into reasoning, content and tool calls:
// reasoning </think> content <tool_call>...</tool_call>. What stands inside a call is read by a
// ToolCallReader, in the form that the model's template asks for.
// Tolerated, because models do it: <tool_call> inside reasoning (ends it), a missing <tool_call>
// (XML form) or </tool_call>, repeated <think>, </think>. Markers never show.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/tool_call_reader.h"

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
  Json tools = nullptr;              // the request's tools: XML argument values follow their schema
  ToolForm tool_form = ToolForm::kXml;
};

// Feed it decoded text in any split; the pieces of equal kind concatenate to the same strings for
// every split. Text that may still become a marker is held back; so is white space that would be
// the only content around a tool call, and a value that its schema may turn into a non-string.
class OutputParser : private ToolCallSink {
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
  enum class State { kReasoning, kContent, kCall };

  std::vector<std::string_view> markers() const;
  bool step();
  void take_text(std::string_view text);
  void take_content(std::string_view text);
  void take_content_marker(std::string_view marker);
  void pass_tool_marker();
  void emit(OutputPiece::Kind kind, std::string_view text);

  void begin_call(std::string_view name) override;
  void add_arguments(std::string_view json) override;
  void add_content(std::string_view text) override;

  bool parse_tools_;
  ToolForm tool_form_;
  std::shared_ptr<const Json> tools_;
  State state_;
  std::string held_;                        // text not yet decided
  std::vector<OutputPiece> pieces_;         // the result of the current call
  std::unique_ptr<ToolCallReader> reader_;  // of the open call, in kCall
  int32_t calls_ = 0;

  // Content since the start or the last tool marker, while it is white space only.
  std::string blank_;
  bool blank_so_far_ = true;
  bool think_may_open_ = false;  // nothing but white space yet, and the prompt did not open <think>
  bool tool_marker_seen_ = false;
};

}  // namespace gallop::text
