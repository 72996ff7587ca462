// Values of tool call arguments: raw text to JSON text by the tool's JSON schema.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace gallop::text {

// The schema of one parameter of one function in a request's `tools`; null when there is none.
const Json* parameter_schema(const Json& tools, std::string_view function, std::string_view key);

// True when every text is kept as a string: no schema, or one that allows nothing but strings.
bool stays_string(const Json* schema);

// JSON text of a value. The schema's types are tried in the order null, integer, number, boolean,
// object, array, string; text that fits none stays a string. Strings inside objects and arrays are
// coerced by `properties` and `items`. Separators are Python's (", " and ": ").
std::string coerce_argument(std::string_view text, const Json* schema);

// The inside of a JSON string literal; bytes above 0x7f pass through, so that it may be called on
// parts of a character.
std::string json_escape(std::string_view text);

}  // namespace gallop::text
