#include "text/output_parser.h"

#include <algorithm>
#include <utility>

#include "text/text_suffix.h"
#include "text/tool_arguments.h"

namespace gallop::text {

// Each begins with '<' and holds no second one, so two markers never overlap.
enum class OutputParser::Marker {
  kThink,
  kEndThink,
  kToolCall,
  kEndToolCall,
  kFunction,
  kEndFunction,
  kParameter,
  kEndParameter
};

namespace {

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace

std::string_view OutputParser::marker_text(Marker marker) {
  switch (marker) {
    case Marker::kThink:
      return "<think>";
    case Marker::kEndThink:
      return "</think>";
    case Marker::kToolCall:
      return "<tool_call>";
    case Marker::kEndToolCall:
      return "</tool_call>";
    case Marker::kFunction:
      return "<function=";
    case Marker::kEndFunction:
      return "</function>";
    case Marker::kParameter:
      return "<parameter=";
    case Marker::kEndParameter:
      return "</parameter>";
  }
  return {};
}

OutputParser::OutputParser(OutputParserOptions options)
    : options_(std::move(options)),
      state_(options_.starts_in_reasoning ? State::kReasoning : State::kContent),
      think_may_open_(!options_.starts_in_reasoning) {}

std::vector<std::string_view> OutputParser::token_markers() const {
  std::vector<std::string_view> texts;
  for (const Marker marker :
       {Marker::kThink, Marker::kEndThink, Marker::kToolCall, Marker::kEndToolCall}) {
    const bool of_tools = marker == Marker::kToolCall || marker == Marker::kEndToolCall;
    if (!of_tools || options_.parse_tools) texts.push_back(marker_text(marker));
  }
  return texts;
}

std::vector<OutputPiece> OutputParser::append(std::string_view text) {
  held_ += text;
  while (step()) {
  }
  return std::exchange(pieces_, {});
}

std::vector<OutputPiece> OutputParser::finish() {
  const std::string rest = std::exchange(held_, {});
  // In a call the rest is half a marker of an answer that was cut off, not a part of the value.
  if (state_ == State::kReasoning || state_ == State::kContent) take_text(rest);
  if (state_ == State::kContent && !tool_marker_seen_) {
    emit(OutputPiece::Kind::kContent, std::exchange(blank_, {}));
  }
  if (state_ == State::kValue) end_parameter();
  if (state_ == State::kFunction || state_ == State::kKey) end_function();
  state_ = State::kContent;
  return std::exchange(pieces_, {});
}

// The markers that mean something in the current state.
std::vector<OutputParser::Marker> OutputParser::markers() const {
  switch (state_) {
    case State::kReasoning:
      if (!options_.parse_tools) return {Marker::kThink, Marker::kEndThink};
      return {Marker::kThink, Marker::kEndThink, Marker::kToolCall};
    case State::kContent: {
      std::vector<Marker> known = {Marker::kEndThink};
      if (think_may_open_) known.push_back(Marker::kThink);
      if (options_.parse_tools) {
        known.insert(known.end(), {Marker::kToolCall, Marker::kEndToolCall, Marker::kFunction});
      }
      return known;
    }
    case State::kFunction:
      return {Marker::kParameter, Marker::kEndFunction, Marker::kEndToolCall, Marker::kToolCall,
              Marker::kFunction};
    case State::kValue:
      return {Marker::kEndParameter, Marker::kParameter, Marker::kEndFunction,
              Marker::kEndToolCall};
    case State::kName:
    case State::kKey:
      return {};
  }
  return {};
}

// Takes what can be decided of held_; true when a marker or label was consumed and held_ may hold
// another one.
bool OutputParser::step() {
  if (state_ == State::kName || state_ == State::kKey) return step_label();
  size_t first = std::string::npos;
  Marker found = Marker::kThink;
  size_t keep = 0;
  for (const Marker marker : markers()) {
    const size_t position = held_.find(marker_text(marker));
    if (position < first) {
      first = position;
      found = marker;
    }
    keep = std::max(keep, partial_suffix(held_, marker_text(marker)));
  }
  const size_t decided = first != std::string::npos ? first : held_.size() - keep;
  std::string text = held_.substr(0, decided);
  // `<think>` opens reasoning only before any other text, which the text before it decides.
  if (found == Marker::kThink && first != std::string::npos && state_ == State::kContent &&
      !is_blank(text)) {
    think_may_open_ = false;
    return true;
  }
  held_.erase(0, decided);
  take_text(text);
  if (first == std::string::npos) return false;
  held_.erase(0, marker_text(found).size());
  take_marker(found);
  return true;
}

// A name or key ends at '>'; a line end closes it too, for answers that forget the bracket.
bool OutputParser::step_label() {
  const size_t end = held_.find_first_of(">\n");
  if (end == std::string::npos) return false;
  const std::string label = held_.substr(0, end);
  held_.erase(0, held_[end] == '>' ? end + 1 : end);
  if (state_ == State::kName) {
    begin_function(label);
  } else {
    begin_parameter(label);
  }
  return true;
}

void OutputParser::take_text(std::string_view text) {
  if (text.empty()) return;
  if (state_ == State::kReasoning) emit(OutputPiece::Kind::kReasoning, text);
  if (state_ == State::kContent) take_content(text);
  if (state_ == State::kValue) take_value(text);
}

void OutputParser::take_content(std::string_view text) {
  if (blank_so_far_) {
    const size_t first = text.find_first_not_of(" \t\r\n");
    blank_ += text.substr(0, first);
    if (first == std::string_view::npos) return;
    blank_so_far_ = false;
    think_may_open_ = false;
    emit(OutputPiece::Kind::kContent, std::exchange(blank_, {}));
    text.remove_prefix(first);
  }
  emit(OutputPiece::Kind::kContent, text);
}

// One leading and one trailing line end belong to the form, not to the value: value_ holds a line
// end at the end of a streamed value back until more text comes.
void OutputParser::take_value(std::string_view text) {
  if (!value_started_) {
    value_started_ = true;
    if (text.starts_with('\n')) text.remove_prefix(1);
  }
  if (text.empty()) return;
  value_ += text;
  if (!value_streams_) return;
  const bool line_end = value_.ends_with('\n');
  if (line_end) value_.pop_back();
  emit(OutputPiece::Kind::kToolArguments, json_escape(value_));
  value_ = line_end ? "\n" : "";
}

void OutputParser::take_marker(Marker marker) {
  switch (state_) {
    case State::kReasoning:
      if (marker == Marker::kThink) return;
      state_ = State::kContent;
      if (marker == Marker::kToolCall) take_content_marker(marker);
      return;
    case State::kContent:
      take_content_marker(marker);
      return;
    case State::kValue:
      end_parameter();
      if (marker == Marker::kEndParameter) return;
      take_marker(marker);  // now in kFunction
      return;
    case State::kFunction:
      if (marker == Marker::kParameter) {
        state_ = State::kKey;
        return;
      }
      end_function();
      take_content_marker(marker);
      return;
    case State::kName:
    case State::kKey:
      return;
  }
}

void OutputParser::take_content_marker(Marker marker) {
  if (marker == Marker::kEndThink) return;
  blank_.clear();
  blank_so_far_ = true;
  if (marker == Marker::kThink) {
    think_may_open_ = false;
    state_ = State::kReasoning;
    return;
  }
  think_may_open_ = false;
  tool_marker_seen_ = true;
  if (marker == Marker::kFunction) state_ = State::kName;
}

void OutputParser::begin_function(std::string_view name) {
  function_ = name;
  parameters_ = 0;
  ++calls_;
  emit(OutputPiece::Kind::kToolName, name);
  state_ = State::kFunction;
}

void OutputParser::begin_parameter(std::string_view key) {
  value_schema_ = parameter_schema(options_.tools, function_, key);
  value_streams_ = stays_string(value_schema_);
  value_started_ = false;
  value_.clear();
  std::string opening = parameters_++ == 0 ? "{\"" : ", \"";
  opening += json_escape(key) + "\": ";
  if (value_streams_) opening += '"';
  emit(OutputPiece::Kind::kToolArguments, opening);
  state_ = State::kValue;
}

void OutputParser::end_parameter() {
  if (value_.ends_with('\n')) value_.pop_back();
  if (value_streams_) {
    emit(OutputPiece::Kind::kToolArguments, "\"");
  } else {
    emit(OutputPiece::Kind::kToolArguments, coerce_argument(value_, value_schema_));
  }
  value_.clear();
  state_ = State::kFunction;
}

void OutputParser::end_function() {
  emit(OutputPiece::Kind::kToolArguments, parameters_ == 0 ? "{}" : "}");
  state_ = State::kContent;
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
