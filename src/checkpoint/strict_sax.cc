#include "checkpoint/strict_sax.h"

#include <fmt/format.h>

#include "base/json.h"

namespace gallop::checkpoint {

bool StrictSax::parse_error(std::size_t position, const std::string&,
                            const nlohmann::detail::exception& error) {
  return refuse(json_syntax_error(position, error));
}

Result<void> StrictSax::parse(std::string_view text) {
  message_.clear();
  if (nlohmann::json::sax_parse(text.begin(), text.end(), this)) return {};
  return Error{message_};
}

bool StrictSax::refuse(std::string message) {
  if (message_.empty()) message_ = std::move(message);
  return false;
}

bool StrictSax::unexpected(std::string_view found) {
  return refuse(fmt::format("{}, found {}", expectation(), found));
}

}  // namespace gallop::checkpoint
