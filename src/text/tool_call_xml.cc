#include <string>
#include <utility>

#include "base/ascii.h"
#include "text/text_suffix.h"
#include "text/tool_arguments.h"
#include "text/tool_call_reader.h"

namespace gallop::text {
namespace {

constexpr std::string_view kFunctionStart = "<function=";
constexpr std::string_view kParameter = "<parameter=";
constexpr std::string_view kEndParameter = "</parameter>";
constexpr std::string_view kEndFunction = "</function>";
constexpr std::string_view kFunctionMarkers[] = {kParameter, kEndFunction, "</tool_call>",
                                                 "<tool_call>", kFunctionStart};
constexpr std::string_view kValueMarkers[] = {kEndParameter, kParameter, kEndFunction,
                                              "</tool_call>"};

// Tolerated: a missing </parameter>, </function> or </tool_call>. A marker that ends the call and
// is not its own is left to the output parser.
class XmlCallReader : public ToolCallReader {
 public:
  explicit XmlCallReader(std::shared_ptr<const Json> tools) : tools_(std::move(tools)) {}

  bool read(std::string& held, ToolCallSink& sink) override {
    while (state_ != State::kEnd && step(held, sink)) {
    }
    return state_ == State::kEnd;
  }

  // What is held is half a marker of an answer that was cut off, not a part of the value; or half
  // a name, and then there was no call.
  void finish(std::string_view rest, ToolCallSink& sink) override {
    if (state_ == State::kName) sink.add_content(std::string(kFunctionStart) + std::string(rest));
    if (state_ == State::kValue) end_parameter(sink);
    if (state_ == State::kFunction || state_ == State::kKey) end_function(sink);
  }

 private:
  enum class State { kName, kFunction, kKey, kValue, kEnd };

  bool step(std::string& held, ToolCallSink& sink) {
    if (state_ == State::kName || state_ == State::kKey) return read_label(held, sink);
    const bool in_value = state_ == State::kValue;
    const FoundMarker found =
        in_value ? find_marker(held, kValueMarkers) : find_marker(held, kFunctionMarkers);
    if (in_value) take_value(std::string_view(held).substr(0, found.before), sink);
    held.erase(0, found.before);
    if (found.marker.empty()) return false;
    if (in_value) {
      end_parameter(sink);
      if (found.marker == kEndParameter) held.erase(0, found.marker.size());
      return true;  // another marker is looked at again, now outside of the value
    }
    if (found.marker == kParameter) {
      state_ = State::kKey;
    } else {
      end_function(sink);
    }
    if (found.marker == kParameter || found.marker == kEndFunction) {
      held.erase(0, found.marker.size());
    }
    return true;
  }

  // A name or key ends at '>'; a line end closes it too, for answers that forget the bracket.
  bool read_label(std::string& held, ToolCallSink& sink) {
    const size_t end = held.find_first_of(">\n");
    if (end == std::string::npos) return false;
    const std::string label = held.substr(0, end);
    if (state_ == State::kName && is_blank(label)) {  // no name, no call
      sink.add_content(kFunctionStart);
      state_ = State::kEnd;
      return true;
    }
    held.erase(0, held[end] == '>' ? end + 1 : end);
    if (state_ == State::kName) {
      function_ = label;
      sink.begin_call(label);
      state_ = State::kFunction;
    } else {
      begin_parameter(label, sink);
    }
    return true;
  }

  void begin_parameter(std::string_view key, ToolCallSink& sink) {
    schema_ = parameter_schema(*tools_, function_, key);
    streams_ = stays_string(schema_);
    started_ = false;
    value_.clear();
    std::string opening = parameters_++ == 0 ? "{\"" : ", \"";
    opening += json_escape(key) + "\": ";
    if (streams_) opening += '"';
    sink.add_arguments(opening);
    state_ = State::kValue;
  }

  // One leading and one trailing line end belong to the form, not to the value: value_ holds a line
  // end at the end of a streamed value back until more text comes.
  void take_value(std::string_view text, ToolCallSink& sink) {
    if (text.empty()) return;
    if (!started_) {
      started_ = true;
      if (text.starts_with('\n')) text.remove_prefix(1);
    }
    value_ += text;
    if (!streams_ || value_.empty()) return;
    const bool line_end = value_.ends_with('\n');
    if (line_end) value_.pop_back();
    sink.add_arguments(json_escape(value_));
    value_ = line_end ? "\n" : "";
  }

  void end_parameter(ToolCallSink& sink) {
    if (value_.ends_with('\n')) value_.pop_back();
    sink.add_arguments(streams_ ? "\"" : coerce_argument(value_, schema_));
    value_.clear();
    state_ = State::kFunction;
  }

  void end_function(ToolCallSink& sink) {
    sink.add_arguments(parameters_ == 0 ? "{}" : "}");
    state_ = State::kEnd;
  }

  std::shared_ptr<const Json> tools_;
  State state_ = State::kName;
  std::string function_;
  int parameters_ = 0;
  bool streams_ = false;  // the value is a string for certain
  bool started_ = false;
  const Json* schema_ = nullptr;  // inside *tools_; null: no schema
  std::string value_;             // when it does not stream
};

}  // namespace

ToolForm tool_form_of(std::string_view chat_template) {
  const bool hermes = chat_template.find("<tool_call>") != std::string_view::npos &&
                      chat_template.find("<function=") == std::string_view::npos;
  return hermes ? ToolForm::kHermes : ToolForm::kXml;
}

std::unique_ptr<ToolCallReader> read_xml_call(std::shared_ptr<const Json> tools) {
  return std::make_unique<XmlCallReader>(std::move(tools));
}

}  // namespace gallop::text
