// Values as text: Python's str and repr, and json.dumps as transformers calls it for `tojson`.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace gallop::text::jinja {

// Python's repr of a float: the shortest digits that give it back.
std::string float_repr(double value);

// Appends str(value); undefined is empty. Generators, macros and functions have no stable text in
// Python either: they fail.
void append_text(Runtime& runtime, Text& out, const Value& value);
Text to_text(Runtime& runtime, const Value& value);
Text to_repr(Runtime& runtime, const Value& value);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool multiline = false;  // `indent` was given
  Text indent;             // per level
  Text item_separator = ", ";
  Text key_separator = ": ";
};
Text to_json(Runtime& runtime, const Value& value, const JsonStyle& style);

// Python's `format % values` and str.format.
Value format_percent(Runtime& runtime, const Value& format, const Value& values);
Value format_braces(Runtime& runtime, const Value& format, const Arguments& arguments);

}  // namespace gallop::text::jinja
