// Numbers and lists of option values, read strictly: the whole text counts, nothing wraps, rounds
// to infinity or is left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace gallop::cli {

// A finite number, of the whole text; nothing for anything else.
std::optional<double> parse_number(const std::string& text);

// A finite number ("0.7", ".5", "1e-3") as JSON; throws CLI::ValidationError naming `flag`.
Json number_value(const std::string& flag, const std::string& text);

// An integer in [-2^63, 2^64) as JSON; throws CLI::ValidationError naming `flag`.
Json integer_value(const std::string& flag, const std::string& text);

// "1,2,3": 32-bit integers, at least one; throws CLI::ValidationError naming `flag`.
std::vector<int32_t> integer_list(const std::string& flag, const std::string& text);

}  // namespace gallop::cli
