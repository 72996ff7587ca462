// The inside of one tool call, in the form that a model writes it in. The output parser finds the
// calls; a reader takes a call's text piece by piece and says what it means. Whatever the split,
// the same text gives the same calls; arguments are always one valid JSON object.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"

namespace gallop::text {

enum class ToolForm {
  kXml,    // <tool_call>\n<function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>\n</function>\n...
  kHermes  // <tool_call>\n{"name": NAME, "arguments": {...}}\n</tool_call>
};

// The form that a chat template tells its model to write; kXml where it names none.
ToolForm tool_form_of(std::string_view chat_template);

// Where a reader puts what it has understood.
class ToolCallSink {
 public:
  virtual ~ToolCallSink() = default;
  virtual void begin_call(std::string_view name) = 0;
  virtual void add_arguments(std::string_view json) = 0;
  // Text that turned out to be no part of a call.
  virtual void add_content(std::string_view text) = 0;
};

class ToolCallReader {
 public:
  virtual ~ToolCallReader() = default;
  // Takes what it can decide off the front of `held`. True: the call has ended, and what is left of
  // `held` stands behind it.
  virtual bool read(std::string& held, ToolCallSink& sink) = 0;
  // The answer has ended inside the call, with `rest` undecided: closes what is open.
  virtual void finish(std::string_view rest, ToolCallSink& sink) = 0;
};

// Begins behind "<function=". Argument values are coerced by the schemas in `tools`.
std::unique_ptr<ToolCallReader> read_xml_call(std::shared_ptr<const Json> tools);

// Begins behind "<tool_call>".
std::unique_ptr<ToolCallReader> read_hermes_call();

}  // namespace gallop::text
