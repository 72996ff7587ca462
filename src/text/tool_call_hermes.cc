#include <algorithm>
#include <string>
#include <utility>

#include "base/ascii.h"
#include "base/json.h"
#include "text/json_stream.h"
#include "text/tool_call_reader.h"

namespace gallop::text {
namespace {

// Canonical JSON of an object in `text`; empty where it is none.
std::string object_json(std::string_view text) {
  JsonStream stream;
  const size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  if (!text.substr(begin).starts_with('{')) return {};
  for (size_t i = begin; i < text.size(); ++i) {
    const JsonStream::Status status = stream.feed(text[i]);
    if (status == JsonStream::Status::kMore) continue;
    const bool whole = status == JsonStream::Status::kDone &&
                       text.find_first_not_of(" \t\r\n", i + 1) == std::string_view::npos;
    return whole ? stream.take_output() : std::string();
  }
  return {};
}

// The object around a call, character by character; its values are JsonStreams. The call begins
// where name and arguments are known to be of the right kind, or the object ends without arguments;
// from then on the arguments' fragments are handed out as they come. Arguments in front of the name
// wait for it, arguments in a string until it ends. Other keys are left out.
// Text that is no such object is given back: all of it while there is no call, else what is not in
// the arguments yet.
class HermesCallReader : public ToolCallReader {
 public:
  bool read(std::string& held, ToolCallSink& sink) override {
    size_t used = 0;
    while (used < held.size() && state_ != State::kEnd) {
      const bool streamed = streams_;
      const Step step = take(held[used], sink);
      if (step == Step::kBad) {
        const std::string back = given_back();
        close(sink);
        held.replace(0, used, back);
        return true;
      }
      if (step == Step::kTaken) raw_.push_back(held[used++]);
      if (streams_) sink.add_arguments(value_.take_output());
      if (streamed || streams_ || std::exchange(handed_out_, false)) raw_.clear();
    }
    held.erase(0, used);
    return state_ == State::kEnd;
  }

  void finish(std::string_view rest, ToolCallSink& sink) override {
    if (!called_) sink.add_content(raw_ + std::string(rest));
    close(sink);
  }

 private:
  enum class State { kBegin, kKeyOrEnd, kKey, kColon, kValueBegin, kValue, kCommaOrEnd, kEnd };
  enum class Step { kTaken, kAgain, kBad };

  Step take(char c, ToolCallSink& sink) {
    const bool in_value = state_ == State::kValue || state_ == State::kKey;
    if (!in_value && is_blank(c)) return Step::kTaken;
    switch (state_) {
      case State::kBegin:
        return expect(c, '{', State::kKeyOrEnd);
      case State::kKeyOrEnd:
        if (c == '}') return end(sink);
        key_stream_ = JsonStream();
        state_ = State::kKey;
        return c == '"' ? take_key(c) : Step::kBad;
      case State::kKey:
        return take_key(c);
      case State::kColon:
        return expect(c, ':', State::kValueBegin);
      case State::kValueBegin:
        value_ = JsonStream();
        streams_ = begun_ && !has_arguments_ && key_ == "\"arguments\"" && c == '{';
        has_arguments_ |= streams_;
        if (streams_) begin_call(sink);
        state_ = State::kValue;
        return Step::kAgain;
      case State::kValue:
        return take_value(c, sink);
      case State::kCommaOrEnd:
        return c == '}' ? end(sink) : expect(c, ',', State::kKeyOrEnd);
      case State::kEnd:
        break;
    }
    return Step::kBad;
  }

  Step expect(char c, char wanted, State next) {
    if (c != wanted) return Step::kBad;
    state_ = next;
    return Step::kTaken;
  }

  Step take_key(char c) {
    const JsonStream::Status status = key_stream_.feed(c);
    if (status == JsonStream::Status::kDone) {
      key_ = key_stream_.take_output();
      state_ = State::kColon;
    }
    return Step::kTaken;  // a string takes every character
  }

  Step take_value(char c, ToolCallSink& sink) {
    const JsonStream::Status status = value_.feed(c);
    if (status == JsonStream::Status::kMore) return Step::kTaken;
    if (status == JsonStream::Status::kBad || !end_value(sink)) return Step::kBad;
    state_ = State::kCommaOrEnd;
    return status == JsonStream::Status::kDone ? Step::kTaken : Step::kAgain;
  }

  // False where the value is not what its key must have.
  bool end_value(ToolCallSink& sink) {
    if (std::exchange(streams_, false)) {
      sink.add_arguments(value_.take_output());
      return true;
    }
    const std::string json = value_.take_output();
    if (key_ == "\"name\"" && !begun_) {
      const Result<Json> name = parse_json(json);
      if (!name.ok() || !name->is_string() || name->empty() || *name == "") return false;
      name_ = name->get_ref<const std::string&>();
      begun_ = true;
      if (has_arguments_) begin_call(sink);
    } else if (key_ == "\"arguments\"" && !has_arguments_) {
      std::string object = json == "null" ? "{}" : object_json(json);
      if (object.empty()) {
        const Result<Json> text = parse_json(json);
        if (!text.ok() || !text->is_string()) return false;
        object = object_json(text->get_ref<const std::string&>());
        if (object.empty()) return false;
      }
      has_arguments_ = true;
      arguments_ = std::move(object);
      if (begun_) begin_call(sink);
    }
    handed_out_ = called_;
    return true;
  }

  void begin_call(ToolCallSink& sink) {
    called_ = true;
    sink.begin_call(name_);
    sink.add_arguments(arguments_);
  }

  Step end(ToolCallSink& sink) {
    if (!begun_) return Step::kBad;
    if (!called_) {
      arguments_ = "{}";
      begin_call(sink);
    }
    close(sink);
    return Step::kTaken;
  }

  std::string given_back() const { return streams_ ? std::string(value_.pending()) : raw_; }

  void close(ToolCallSink& sink) {
    if (std::exchange(streams_, false)) sink.add_arguments(value_.close());
    state_ = State::kEnd;
  }

  State state_ = State::kBegin;
  std::string raw_;  // what came and is not handed out
  JsonStream key_stream_;
  std::string key_;  // as JSON
  JsonStream value_;
  std::string name_;
  bool begun_ = false;       // the name is known
  bool called_ = false;      // the call has begun
  bool streams_ = false;     // the value is the arguments, handed out as they come
  bool handed_out_ = false;  // the value just ended needs to be given back no more
  bool has_arguments_ = false;
  std::string arguments_;  // those that did not stream
};

}  // namespace

std::unique_ptr<ToolCallReader> read_hermes_call() { return std::make_unique<HermesCallReader>(); }

}  // namespace gallop::text
