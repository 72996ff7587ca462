#include "text/tool_arguments.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "base/ascii.h"

namespace gallop::text {
namespace {

// The types a schema allows. Keywords that say nothing about types leave all false.
struct Types {
  bool null = false;
  bool integer = false;
  bool number = false;
  bool boolean = false;
  bool object = false;
  bool array = false;
  bool string = false;

  bool only_string() const { return !(null || integer || number || boolean || object || array); }
};

void add_type(const Json& name, Types& types) {
  if (name == "null") types.null = true;
  if (name == "integer") types.integer = true;
  if (name == "number") types.number = true;
  if (name == "boolean") types.boolean = true;
  if (name == "object") types.object = true;
  if (name == "array") types.array = true;
  if (name == "string") types.string = true;
}

void add_type_of(const Json& value, Types& types) {
  types.null |= value.is_null();
  types.integer |= value.is_number_integer();
  types.number |= value.is_number_float();
  types.boolean |= value.is_boolean();
  types.object |= value.is_object();
  types.array |= value.is_array();
  types.string |= value.is_string();
}

const Json* member(const Json& value, std::string_view key) {
  if (!value.is_object()) return nullptr;
  const auto found = value.find(key);
  return found == value.end() ? nullptr : &*found;
}

// Schemas come from parsed requests, whose depth is bounded, so this recursion is.
void collect_types(const Json& schema, Types& types) {
  if (const Json* type = member(schema, "type")) {
    if (type->is_array()) {
      for (const Json& name : *type) add_type(name, types);
    } else {
      add_type(*type, types);
    }
    return;
  }
  if (const Json* constant = member(schema, "const")) add_type_of(*constant, types);
  if (const Json* values = member(schema, "enum"); values != nullptr && values->is_array()) {
    for (const Json& value : *values) add_type_of(value, types);
  }
  for (const std::string_view keyword : {"anyOf", "oneOf", "allOf"}) {
    const Json* choices = member(schema, keyword);
    if (choices == nullptr || !choices->is_array()) continue;
    for (const Json& choice : *choices) collect_types(choice, types);
  }
  if (member(schema, "properties") != nullptr) types.object = true;
  if (member(schema, "items") != nullptr) types.array = true;
}

Types types_of(const Json* schema) {
  Types types;
  if (schema != nullptr) collect_types(*schema, types);
  return types;
}

// The sub-schema for a key or for array items, also inside unions.
const Json* child_schema(const Json* schema, std::string_view keyword, std::string_view key) {
  if (schema == nullptr) return nullptr;
  if (const Json* found = member(*schema, keyword)) {
    if (keyword == "items") return found;
    if (const Json* child = member(*found, key)) return child;
  }
  for (const std::string_view combiner : {"anyOf", "oneOf", "allOf"}) {
    const Json* choices = member(*schema, combiner);
    if (choices == nullptr || !choices->is_array()) continue;
    for (const Json& choice : *choices) {
      if (const Json* child = child_schema(&choice, keyword, key)) return child;
    }
  }
  return nullptr;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// Any number of digits, as Python: the text is normalised, not converted.
std::optional<std::string> as_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || !std::all_of(text.begin(), text.end(),
                                   [](unsigned char c) { return std::isdigit(c) != 0; })) {
    return std::nullopt;
  }
  text.remove_prefix(std::min(text.find_first_not_of('0'), text.size() - 1));
  return (negative && text != "0" ? "-" : "") + std::string(text);
}

// Whole numbers become integers; infinities and NaN are no JSON.
std::optional<std::string> as_number(std::string_view text) {
  if (auto integer = as_integer(text)) return integer;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  constexpr double kExactIntegers = 9007199254740992;  // 2^53
  if (value == std::trunc(value) && std::abs(value) < kExactIntegers) {
    return std::to_string(static_cast<int64_t>(value));
  }
  return Json(value).dump();
}

void write_value(const Json& value, const Json* schema, std::string& out);

void write_children(const Json& value, const Json* schema, std::string& out) {
  out += value.is_object() ? '{' : '[';
  bool first = true;
  for (const auto& [key, child] : value.items()) {
    if (!first) out += ", ";
    first = false;
    if (value.is_object()) {
      out += '"' + json_escape(key) + "\": ";
      write_value(child, child_schema(schema, "properties", key), out);
    } else {
      write_value(child, child_schema(schema, "items", {}), out);
    }
  }
  out += value.is_object() ? '}' : ']';
}

void write_value(const Json& value, const Json* schema, std::string& out) {
  if (value.is_structured()) {
    write_children(value, schema, out);
  } else if (value.is_string()) {
    out += coerce_argument(value.get_ref<const std::string&>(), schema);
  } else {
    out += dump_json(value);
  }
}

std::optional<std::string> as_structure(std::string_view text, const Types& types,
                                        const Json* schema) {
  const Result<Json> parsed = parse_json(text);
  if (!parsed.ok()) return std::nullopt;
  if (!(types.object && parsed->is_object()) && !(types.array && parsed->is_array())) {
    return std::nullopt;
  }
  std::string out;
  write_value(*parsed, schema, out);
  return out;
}

}  // namespace

const Json* parameter_schema(const Json& tools, std::string_view function, std::string_view key) {
  if (!tools.is_array()) return nullptr;
  for (const Json& tool : tools) {
    const Json* description = member(tool, "function");
    if (description == nullptr) description = &tool;
    const Json* name = member(*description, "name");
    if (name == nullptr || *name != function) continue;
    const Json* parameters = member(*description, "parameters");
    const Json* properties = parameters == nullptr ? nullptr : member(*parameters, "properties");
    return properties == nullptr ? nullptr : member(*properties, key);
  }
  return nullptr;
}

bool stays_string(const Json* schema) { return types_of(schema).only_string(); }

std::string coerce_argument(std::string_view text, const Json* schema) {
  const Types types = types_of(schema);
  if (!types.only_string()) {
    const std::string_view word = trimmed(text);
    const std::string lower = word.size() <= 5 ? lower_case(word) : std::string();
    if (types.null && (lower == "null" || lower == "none")) return "null";
    if (types.integer) {
      if (auto integer = as_integer(word)) return *integer;
    }
    if (types.number) {
      if (auto number = as_number(word)) return *number;
    }
    if (types.boolean && (lower == "true" || lower == "1")) return "true";
    if (types.boolean && (lower == "false" || lower == "0")) return "false";
    if (types.object || types.array) {
      if (auto structure = as_structure(word, types, schema)) return *structure;
    }
  }
  return '"' + json_escape(text) + '"';
}

std::string json_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace gallop::text
