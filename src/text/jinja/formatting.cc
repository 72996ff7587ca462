// Python's two ways to fill a template string: `format % values` and str.format.
#include <cctype>
#include <cmath>

#include <fmt/format.h>

#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

constexpr int64_t kMaxWidth = 1 << 20;

struct Conversion {
  bool left = false, zero = false, plus = false, blank = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = 's';
};

// Pads `body` (whose sign, if any, stays before zeros) to the width.
Text pad(const Conversion& conversion, Text body) {
  const auto width = static_cast<size_t>(conversion.width);
  const size_t characters = count_code_points(body);
  if (characters >= width) return body;
  if (conversion.left) return body.append(width - characters, ' ');
  if (!conversion.zero) return body.insert(0, width - characters, ' ');
  const bool sign = !body.empty() && (body[0] == '-' || body[0] == '+' || body[0] == ' ');
  body.insert(sign ? 1 : 0, width - characters, '0');
  return body;
}

Text cut(Text text, int64_t precision) {
  if (precision < 0) return text;
  size_t bytes = 0;
  for (int64_t i = 0; i < precision && bytes < text.size(); ++i) {
    bytes += decode_at(text, bytes).length;
  }
  return text.substr(0, bytes);
}

std::string convert_number(const Runtime& runtime, const Conversion& conversion,
                           const Value& value) {
  if (!value.is_number()) {
    runtime.fail(
        fmt::format("%{} format: a number is required, not {}", conversion.type, type_name(value)));
  }
  const std::string sign = conversion.plus ? "+" : conversion.blank ? " " : "";
  if (std::string_view("eEfFgG").find(conversion.type) != std::string_view::npos) {
    const int precision = conversion.precision < 0 ? 6 : static_cast<int>(conversion.precision);
    const double number = value.as_float();
    const std::string spec = fmt::format("%.{}{}", precision, conversion.type);
    char buffer[1024];
    const int written = std::snprintf(buffer, sizeof(buffer), spec.c_str(), number);
    if (written < 0 || written >= static_cast<int>(sizeof(buffer))) {
      runtime.fail("a formatted number is too long");
    }
    return (std::signbit(number) ? "" : sign) + std::string(buffer);
  }
  int64_t number = value.as_int();
  if (value.is(Kind::kFloat)) {
    if (std::string_view("diu").find(conversion.type) == std::string_view::npos ||
        !(std::abs(value.as_float()) < 0x1p63)) {
      runtime.fail(fmt::format("%{} format: an integer is required", conversion.type));
    }
    number = static_cast<int64_t>(value.as_float());
  }
  const uint64_t magnitude =
      number < 0 ? ~static_cast<uint64_t>(number) + 1 : static_cast<uint64_t>(number);
  const std::string digits = conversion.type == 'x'   ? fmt::format("{:x}", magnitude)
                             : conversion.type == 'X' ? fmt::format("{:X}", magnitude)
                             : conversion.type == 'o' ? fmt::format("{:o}", magnitude)
                                                      : fmt::format("{}", magnitude);
  return (number < 0 ? "-" : sign) + digits;
}

class PercentFormatter {
 public:
  PercentFormatter(Runtime& runtime, std::string_view format, const Value& values)
      : runtime_(runtime), format_(format), values_(values) {}

  Text run();

 private:
  Value next_value();
  Value named_value();
  Conversion read_conversion();
  int64_t read_number();
  Text convert(Conversion conversion, const Value& value);
  // That begins with the last byte that was read: a conversion's type.
  std::string_view last_character() const;

  Runtime& runtime_;
  std::string_view format_;
  const Value& values_;
  size_t at_ = 0;
  size_t used_ = 0;
};

Text PercentFormatter::run() {
  Text out;
  bool named = false;
  while (at_ < format_.size()) {
    const char c = format_[at_++];
    if (c != '%') {
      out.push_back(c);
      continue;
    }
    if (at_ < format_.size() && format_[at_] == '%') {
      out.push_back('%');
      ++at_;
      continue;
    }
    Value value;
    const bool is_named = at_ < format_.size() && format_[at_] == '(';
    if (is_named) value = named_value();
    named = named || is_named;
    const Conversion conversion = read_conversion();
    if (!is_named) value = next_value();
    out += convert(conversion, value);
    runtime_.tick();
  }
  const size_t given = values_.is(Kind::kTuple)           ? values_.items().size()
                       : values_.is(Kind::kDict) || named ? used_
                                                          : 1;
  if (!named && used_ < given) {
    runtime_.fail("not all arguments converted during string formatting");
  }
  return out;
}

std::string_view PercentFormatter::last_character() const {
  return format_.substr(at_ - 1, decode_at(format_, at_ - 1).length);
}

Value PercentFormatter::next_value() {
  const size_t given = values_.is(Kind::kTuple) ? values_.items().size() : 1;
  if (used_ >= given) runtime_.fail("not enough arguments for format string");
  ++used_;
  return values_.is(Kind::kTuple) ? values_.items()[used_ - 1] : values_;
}

Value PercentFormatter::named_value() {
  const size_t close = format_.find(')', at_);
  if (close == std::string_view::npos) runtime_.fail("incomplete format key");
  if (!values_.is(Kind::kDict)) runtime_.fail("format requires a mapping");
  const std::string_view key = format_.substr(at_ + 1, close - at_ - 1);
  runtime_.tick_scan(key);
  const Value* const found = values_.as<DictObject>().find_text(key);
  if (found == nullptr) {
    runtime_.fail(fmt::format("the format names '{}', which is absent", excerpt(key)));
  }
  at_ = close + 1;
  return *found;
}

int64_t PercentFormatter::read_number() {
  int64_t number = 0;
  while (at_ < format_.size() && std::isdigit(static_cast<unsigned char>(format_[at_]))) {
    number = std::min<int64_t>(number * 10 + (format_[at_++] - '0'), kMaxWidth + 1);
  }
  if (number > kMaxWidth) runtime_.fail("a format width is too large");
  return number;
}

Conversion PercentFormatter::read_conversion() {
  Conversion conversion;
  for (; at_ < format_.size(); ++at_) {
    const char c = format_[at_];
    if (c == '-') {
      conversion.left = true;
    } else if (c == '0') {
      conversion.zero = true;
    } else if (c == '+') {
      conversion.plus = true;
    } else if (c == ' ') {
      conversion.blank = true;
    } else {
      break;
    }
  }
  conversion.width = read_number();
  if (at_ < format_.size() && format_[at_] == '.') {
    ++at_;
    conversion.precision = read_number();
  }
  if (at_ >= format_.size()) runtime_.fail("incomplete format");
  conversion.type = format_[at_++];
  return conversion;
}

Text PercentFormatter::convert(Conversion conversion, const Value& value) {
  switch (conversion.type) {
    case 's':
    case 'r':
      conversion.zero = false;
      return pad(conversion,
                 cut(conversion.type == 's' ? to_text(runtime_, value) : to_repr(runtime_, value),
                     conversion.precision));
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
      return pad(conversion, Text(convert_number(runtime_, conversion, value)));
    default:
      runtime_.fail(fmt::format("the format character '{}' is not supported", last_character()));
  }
}

// One {...} field: what stands before ':' and '!' names the value.
const Value& field_value(Runtime& runtime, const Arguments& arguments, std::string_view name,
                         size_t& automatic) {
  const bool numeric = name.empty() || std::isdigit(static_cast<unsigned char>(name[0]));
  if (!numeric) {
    runtime.tick_compare(arguments.named.size() * (8 + name.size()));
    for (const auto& [key, value] : arguments.named) {
      if (key == name) return value;
    }
    runtime.fail(fmt::format("the format field '{}' is absent or not supported", excerpt(name)));
  }
  if (name.size() > 6 || name.find_first_not_of("0123456789") != std::string_view::npos) {
    runtime.fail(fmt::format("the format field '{}' is not supported", excerpt(name)));
  }
  const size_t index = name.empty() ? automatic++ : std::stoul(std::string(name));
  if (index >= arguments.positional.size()) {
    runtime.fail("replacement index out of range for positional arguments");
  }
  return arguments.positional[index];
}

}  // namespace

Value format_percent(Runtime& runtime, const Value& format, const Value& values) {
  runtime.tick_scan(format.text());
  return runtime.string(PercentFormatter(runtime, format.text(), values).run(), format.is_safe());
}

Value format_braces(Runtime& runtime, const Value& format, const Arguments& arguments) {
  const std::string_view text = format.text();
  runtime.tick_scan(text);
  Text out;
  size_t automatic = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const bool doubled = at + 1 < text.size() && text[at + 1] == c;
    if (c != '{' && c != '}') {
      out.push_back(c);
    } else if (doubled) {
      out.push_back(c);
      ++at;
    } else if (c == '}') {
      runtime.fail("single '}' in a format string");
    } else {
      const size_t close = text.find('}', at);
      if (close == std::string_view::npos) runtime.fail("single '{' in a format string");
      const std::string_view name = text.substr(at + 1, close - at - 1);
      if (name.find_first_of(":!.[{") != std::string_view::npos) {
        runtime.fail(fmt::format("the format field '{}' is not supported", excerpt(name)));
      }
      append_text(runtime, out, field_value(runtime, arguments, name, automatic));
      at = close;
    }
  }
  return runtime.string(std::move(out), format.is_safe());
}

}  // namespace gallop::text::jinja
