// Numbers and lists of option values as JSON or ids, read strictly; what is wrong is refused as
// usage, naming `flag`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace gallop::cli {

// A finite number ("0.7", ".5", "1e-3") as JSON.
Json number_value(const std::string& flag, const std::string& text);

// An integer in [-2^63, 2^64) as JSON.
Json integer_value(const std::string& flag, const std::string& text);

// "1,2,3": 32-bit integers, at least one.
std::vector<int32_t> integer_list(const std::string& flag, const std::string& text);

}  // namespace gallop::cli
