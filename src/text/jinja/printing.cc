#include "text/jinja/printing.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

void append_string_repr(Text& out, std::string_view text) {
  const bool double_quotes =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = double_quotes ? '"' : '\'';
  out.push_back(quote);
  for (size_t at = 0; at < text.size();) {
    const Character point = decode_at(text, at);
    const auto code = static_cast<uint32_t>(point.code);
    if (code == static_cast<uint32_t>(quote) || code == '\\') {
      out.push_back('\\');
      out.push_back(text[at]);
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\r') {
      out += "\\r";
    } else if (code == '\t') {
      out += "\\t";
    } else if ((str_flags(point.code) & kPrintable) != 0) {
      out += text.substr(at, point.length);
    } else if (code < 0x100) {
      out += fmt::format("\\x{:02x}", code);
    } else if (code < 0x10000) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += fmt::format("\\U{:08x}", code);
    }
    at += point.length;
  }
  out.push_back(quote);
}

class ReprWriter {
 public:
  ReprWriter(Runtime& runtime, Text& out) : runtime_(runtime), out_(out) {}

  void write(const Value& value);

 private:
  void write_items(const List<Value>& items);
  void write_dict(const DictObject& dict);
  void write_namespace(const NamespaceObject& space);
  void write_range(const RangeObject& range);

  Runtime& runtime_;
  Text& out_;
  int32_t depth_ = 0;
};

void ReprWriter::write(const Value& value) {
  const DepthGuard guard(runtime_, depth_, runtime_.limits().value_depth + 1);
  runtime_.tick();
  switch (value.kind()) {
    case Kind::kUndefined:
      out_ += "Undefined";
      break;
    case Kind::kString:
      runtime_.tick_scan(value.text());
      if (value.is_safe()) out_ += "Markup(";
      append_string_repr(out_, value.text());
      if (value.is_safe()) out_ += ")";
      break;
    case Kind::kList:
      out_ += "[";
      write_items(value.items());
      out_ += "]";
      break;
    case Kind::kTuple:
      out_ += "(";
      write_items(value.items());
      out_ += value.items().size() == 1 ? ",)" : ")";
      break;
    case Kind::kView:
      out_ += value.as<ListObject>().view_name;
      out_ += "([";
      write_items(value.items());
      out_ += "])";
      break;
    case Kind::kDict:
      write_dict(value.as<DictObject>());
      break;
    case Kind::kNamespace:
      write_namespace(value.as<NamespaceObject>());
      break;
    case Kind::kRange:
      write_range(value.as<RangeObject>());
      break;
    default:
      append_text(runtime_, out_, value);
  }
}

void ReprWriter::write_items(const List<Value>& items) {
  bool first = true;
  for (const Value& item : items) {
    if (!first) out_ += ", ";
    first = false;
    write(item);
  }
}

void ReprWriter::write_dict(const DictObject& dict) {
  out_ += "{";
  bool first = true;
  for (const auto& [key, value] : dict.entries) {
    if (!first) out_ += ", ";
    first = false;
    write(key);
    out_ += ": ";
    write(value);
  }
  out_ += "}";
}

void ReprWriter::write_namespace(const NamespaceObject& space) {
  out_ += "<Namespace {";
  bool first = true;
  for (const auto& [key, value] : space.attributes) {
    runtime_.tick_scan(key);
    if (!first) out_ += ", ";
    first = false;
    append_string_repr(out_, key);
    out_ += ": ";
    write(value);
  }
  out_ += "}>";
}

void ReprWriter::write_range(const RangeObject& range) {
  out_ += fmt::format("range({}, {}", range.start, range.stop);
  if (range.step != 1) out_ += fmt::format(", {}", range.step);
  out_ += ")";
}

}  // namespace

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  std::string_view text(buffer, static_cast<size_t>(end - buffer));  // [-]d[.ddd]e[+-]dd
  std::string out;
  if (text.front() == '-') {
    out = "-";
    text.remove_prefix(1);
  }
  const size_t e = text.find('e');
  int exponent = 0;
  const size_t exponent_begin = e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(text.data() + exponent_begin, text.data() + text.size(), exponent);
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (count > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02d}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0)
    return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (count <= exponent + 1) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

void append_text(Runtime& runtime, Text& out, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return;
    case Kind::kNone:
      out += "None";
      return;
    case Kind::kBool:
      out += value.as_int() != 0 ? "True" : "False";
      return;
    case Kind::kInt:
      out += std::to_string(value.as_int());
      return;
    case Kind::kBigInt:
      out += value.digits();
      return;
    case Kind::kFloat:
      out += float_repr(value.as_float());
      return;
    case Kind::kString:
      runtime.tick_compare(value.text().size());
      out += value.text();
      return;
    case Kind::kLoop: {
      const auto& loop = value.as<LoopObject>();
      out += fmt::format("<LoopContext {}/{}>", loop.index + 1, loop.items->items.size());
      return;
    }
    case Kind::kGenerator:
    case Kind::kMacro:
    case Kind::kFunction:
    case Kind::kMethod:
    case Kind::kCycler:
    case Kind::kJoiner:
      runtime.fail(fmt::format("a {} can not be printed{}", type_name(value),
                               value.is(Kind::kGenerator) ? ": use |list or |join" : ""));
    default:
      ReprWriter(runtime, out).write(value);
  }
}

Text to_text(Runtime& runtime, const Value& value) {
  Text out;
  append_text(runtime, out, value);
  return out;
}

Text to_repr(Runtime& runtime, const Value& value) {
  Text out;
  ReprWriter(runtime, out).write(value);
  return out;
}

}  // namespace gallop::text::jinja
