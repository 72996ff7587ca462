#include "cli/flag_values.h"

#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace gallop::cli {
namespace {

template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
  Number value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

[[noreturn]] void refuse(const std::string& flag, const char* rule, std::string_view found) {
  throw CLI::ValidationError(flag, fmt::format("must be {}, found '{}'", rule, found));
}

}  // namespace

std::optional<double> parse_number(const std::string& text) {
  const std::optional<double> value = whole_number<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

Json number_value(const std::string& flag, const std::string& text) {
  const std::optional<double> value = parse_number(text);
  if (!value) refuse(flag, "a number", text);
  return *value;
}

Json integer_value(const std::string& flag, const std::string& text) {
  if (const auto value = whole_number<int64_t>(text)) return *value;
  if (const auto value = whole_number<uint64_t>(text)) return *value;
  refuse(flag, "an integer", text);
}

std::vector<int32_t> integer_list(const std::string& flag, const std::string& text) {
  std::vector<int32_t> values;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const auto value = whole_number<int32_t>(std::string_view(text).substr(begin, end - begin));
    if (!value) refuse(flag, "integers separated by commas", text);
    values.push_back(*value);
    begin = end + 1;
  }
  return values;
}

}  // namespace gallop::cli
