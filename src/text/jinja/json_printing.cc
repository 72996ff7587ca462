#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

// Source: CPython 3.11, json.dumps (json/encoder.py): separators, escapes, key coercion.
class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const JsonStyle& style, Text& out)
      : runtime_(runtime), style_(style), out_(out) {}

  void write(const Value& value);

 private:
  void write_string(std::string_view text);
  void write_number(double value);
  void write_list(const List<Value>& items);
  void write_dict(const DictObject& dict);
  void write_key(const Value& key);
  void begin_item(bool first);
  void end_items();

  Runtime& runtime_;
  const JsonStyle& style_;
  Text& out_;
  int32_t depth_ = 0;
  size_t level_ = 0;
};

void JsonWriter::write(const Value& value) {
  const DepthGuard guard(runtime_, depth_, runtime_.limits().value_depth + 1);
  runtime_.tick();
  switch (value.kind()) {
    case Kind::kNone:
      out_ += "null";
      break;
    case Kind::kBool:
      out_ += value.as_int() != 0 ? "true" : "false";
      break;
    case Kind::kInt:
      out_ += std::to_string(value.as_int());
      break;
    case Kind::kBigInt:
      out_ += value.digits();
      break;
    case Kind::kFloat:
      write_number(value.as_float());
      break;
    case Kind::kString:
      write_string(value.text());
      break;
    case Kind::kList:
    case Kind::kTuple:
      write_list(value.items());
      break;
    case Kind::kDict:
      write_dict(value.as<DictObject>());
      break;
    default:
      runtime_.fail(fmt::format("Object of type {} is not JSON serializable", type_name(value)));
  }
}

void JsonWriter::write_number(double value) {
  if (std::isnan(value)) {
    out_ += "NaN";
  } else if (std::isinf(value)) {
    out_ += value < 0 ? "-Infinity" : "Infinity";
  } else {
    out_ += float_repr(value);
  }
}

void JsonWriter::write_string(std::string_view text) {
  constexpr std::string_view kSpecial = "\"\\\n\r\t\f\b";
  constexpr std::string_view kNames = "\"\\nrtfb";
  runtime_.tick_scan(text);
  out_.push_back('"');
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    const Character point = decode_at(text, at);
    const auto code = static_cast<uint32_t>(point.code);
    if (const size_t special = kSpecial.find(c); special != std::string_view::npos) {
      out_.push_back('\\');
      out_.push_back(kNames[special]);
    } else if (code < 0x20 || (style_.ensure_ascii && code >= 0x7f && code < 0x10000)) {
      out_ += fmt::format("\\u{:04x}", code);
    } else if (style_.ensure_ascii && code >= 0x10000) {
      const uint32_t offset = code - 0x10000;
      out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (offset >> 10), 0xdc00 + (offset & 0x3ff));
    } else {
      out_ += text.substr(at, point.length);
    }
    at += point.length;
  }
  out_.push_back('"');
}

void JsonWriter::begin_item(bool first) {
  if (!first) out_ += style_.item_separator;
  if (!style_.multiline) return;
  runtime_.tick_compare(style_.indent.size() * level_);
  out_.push_back('\n');
  for (size_t i = 0; i < level_; ++i) out_ += style_.indent;
}

void JsonWriter::end_items() {
  --level_;
  begin_item(true);
}

void JsonWriter::write_list(const List<Value>& items) {
  if (items.empty()) {
    out_ += "[]";
    return;
  }
  out_.push_back('[');
  ++level_;
  bool first = true;
  for (const Value& item : items) {
    begin_item(first);
    first = false;
    write(item);
  }
  end_items();
  out_.push_back(']');
}

void JsonWriter::write_key(const Value& key) {
  if (key.is_string()) {
    write_string(key.text());
  } else if (key.is_number() || key.is(Kind::kBigInt) || key.is(Kind::kNone)) {
    out_.push_back('"');
    write(key);
    out_.push_back('"');
  } else {
    runtime_.fail(
        fmt::format("keys must be str, int, float, bool or None, not {}", type_name(key)));
  }
}

void JsonWriter::write_dict(const DictObject& dict) {
  if (dict.entries.empty()) {
    out_ += "{}";
    return;
  }
  List<const std::pair<Value, Value>*> entries;
  for (const auto& entry : dict.entries) entries.push_back(&entry);
  if (style_.sort_keys) {
    std::stable_sort(entries.begin(), entries.end(), [this](const auto* left, const auto* right) {
      return less_than(runtime_, left->first, right->first);
    });
  }
  out_.push_back('{');
  ++level_;
  bool first = true;
  for (const auto* entry : entries) {
    begin_item(first);
    first = false;
    write_key(entry->first);
    out_ += style_.key_separator;
    write(entry->second);
  }
  end_items();
  out_.push_back('}');
}

}  // namespace

Text to_json(Runtime& runtime, const Value& value, const JsonStyle& style) {
  Text out;
  JsonWriter(runtime, style, out).write(value);
  return out;
}

}  // namespace gallop::text::jinja
