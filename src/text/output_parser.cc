#include "text/output_parser.h"

#include <utility>

#include "base/ascii.h"
#include "text/text_suffix.h"

namespace gallop::text {
namespace {

// Each begins with '<' and holds no second one, so two markers never overlap.
constexpr std::string_view kThink = "<think>";
constexpr std::string_view kEndThink = "</think>";
constexpr std::string_view kToolCall = "<tool_call>";
constexpr std::string_view kEndToolCall = "</tool_call>";
constexpr std::string_view kFunction = "<function=";

constexpr std::string_view kBlanks = " \t\r\n";

}  // namespace

OutputParser::OutputParser(OutputParserOptions options)
    : parse_tools_(options.parse_tools),
      tool_form_(options.tool_form),
      tools_(std::make_shared<const Json>(std::move(options.tools))),
      state_(options.starts_in_reasoning ? State::kReasoning : State::kContent),
      think_may_open_(!options.starts_in_reasoning) {}

std::vector<std::string_view> OutputParser::token_markers() const {
  if (!parse_tools_) return {kThink, kEndThink};
  return {kThink, kEndThink, kToolCall, kEndToolCall};
}

std::vector<OutputPiece> OutputParser::append(std::string_view text) {
  held_ += text;
  while (step()) {
  }
  return std::exchange(pieces_, {});
}

std::vector<OutputPiece> OutputParser::finish() {
  const std::string rest = std::exchange(held_, {});
  if (state_ == State::kCall) {
    pass_tool_marker();
    state_ = State::kContent;
    std::exchange(reader_, nullptr)->finish(rest, *this);
  } else {
    take_text(rest);
  }
  if (state_ == State::kContent && !tool_marker_seen_) {
    emit(OutputPiece::Kind::kContent, std::exchange(blank_, {}));
  }
  state_ = State::kContent;
  return std::exchange(pieces_, {});
}

// The markers that mean something in the current state.
std::vector<std::string_view> OutputParser::markers() const {
  std::vector<std::string_view> known = {kEndThink};
  if (state_ == State::kReasoning || think_may_open_) known.push_back(kThink);
  if (!parse_tools_) return known;
  known.push_back(kToolCall);
  if (state_ == State::kReasoning) return known;
  known.push_back(kEndToolCall);
  if (tool_form_ == ToolForm::kXml) known.push_back(kFunction);
  return known;
}

// Takes what can be decided of held_; true when held_ may hold more of it.
bool OutputParser::step() {
  if (state_ == State::kCall) {
    if (!reader_->read(held_, *this)) return false;
    pass_tool_marker();
    state_ = State::kContent;
    return true;
  }
  const FoundMarker found = find_marker(held_, markers());
  const std::string text = held_.substr(0, found.before);
  // `<think>` opens reasoning only before any other text, which the text before it decides.
  if (found.marker == kThink && state_ == State::kContent && !is_blank(text)) {
    think_may_open_ = false;
    return true;
  }
  held_.erase(0, text.size() + found.marker.size());
  take_text(text);
  if (found.marker.empty()) return false;
  if (state_ == State::kReasoning) {
    if (found.marker == kThink) return true;
    state_ = State::kContent;
    if (found.marker == kEndThink) return true;
  }
  take_content_marker(found.marker);
  return true;
}

void OutputParser::take_text(std::string_view text) {
  if (state_ == State::kReasoning) emit(OutputPiece::Kind::kReasoning, text);
  if (state_ == State::kContent) take_content(text);
}

void OutputParser::take_content(std::string_view text) {
  if (blank_so_far_) {
    const size_t first = text.find_first_not_of(kBlanks);
    blank_ += text.substr(0, first);
    if (first == std::string_view::npos) return;
    blank_so_far_ = false;
    think_may_open_ = false;
    emit(OutputPiece::Kind::kContent, std::exchange(blank_, {}));
    text.remove_prefix(first);
  }
  emit(OutputPiece::Kind::kContent, text);
}

void OutputParser::take_content_marker(std::string_view marker) {
  if (marker == kEndThink) return;
  if (marker == kThink) {
    blank_.clear();
    blank_so_far_ = true;
    think_may_open_ = false;
    state_ = State::kReasoning;
    return;
  }
  pass_tool_marker();
  const bool hermes = tool_form_ == ToolForm::kHermes;
  if (marker == kEndToolCall || (marker == kToolCall && !hermes)) return;
  reader_ = hermes ? read_hermes_call() : read_xml_call(tools_);
  state_ = State::kCall;
}

// White space around calls is not content.
void OutputParser::pass_tool_marker() {
  blank_.clear();
  blank_so_far_ = true;
  think_may_open_ = false;
  tool_marker_seen_ = true;
}

void OutputParser::begin_call(std::string_view name) {
  ++calls_;
  emit(OutputPiece::Kind::kToolName, name);
}

void OutputParser::add_arguments(std::string_view json) {
  emit(OutputPiece::Kind::kToolArguments, json);
}

// Of a call that is none, at the answer's end: text without its markers.
void OutputParser::add_content(std::string_view text) {
  const std::string_view tool_markers[] = {kEndThink, kToolCall, kEndToolCall};
  for (;;) {
    const FoundMarker found = find_marker(text, tool_markers);
    if (found.marker.empty()) return take_content(text);
    take_content(text.substr(0, found.before));
    text.remove_prefix(found.before + found.marker.size());
  }
}

void OutputParser::emit(OutputPiece::Kind kind, std::string_view text) {
  const bool tool =
      kind == OutputPiece::Kind::kToolName || kind == OutputPiece::Kind::kToolArguments;
  if (text.empty() && kind != OutputPiece::Kind::kToolName) return;
  const int32_t index = tool ? calls_ - 1 : -1;
  if (!pieces_.empty() && pieces_.back().kind == kind && pieces_.back().tool_index == index &&
      kind != OutputPiece::Kind::kToolName) {
    pieces_.back().text += text;
    return;
  }
  pieces_.push_back({kind, std::string(text), index});
}

}  // namespace gallop::text
