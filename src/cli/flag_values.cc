#include "cli/flag_values.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "base/json.h"
#include "cli/command.h"
#include "cli/numbers.h"

namespace gallop::cli {
namespace {

[[noreturn]] void refuse(const std::string& flag, const char* rule, std::string_view found) {
  refuse_usage(flag, fmt::format("must be {}, found '{}'", rule, found));
}

}  // namespace

Json number_value(const std::string& flag, const std::string& text) {
  const std::optional<double> value = finite_number(text);
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
