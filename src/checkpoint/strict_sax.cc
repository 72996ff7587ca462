#include "checkpoint/strict_sax.h"

#include <fmt/format.h>

namespace gallop::checkpoint {

bool StrictSax::parse_error(std::size_t position, const std::string&,
                            const nlohmann::detail::exception& error) {
  const std::string what = error.what();  // "[json.exception...] parse error at ...: reason"
  const size_t bracket = what.find("] ");
  return refuse(fmt::format("not valid JSON at byte {}: {}", position,
                            bracket == std::string::npos ? what : what.substr(bracket + 2)));
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
