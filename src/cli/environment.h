// The one place that reads environment variables; commands get values, never names.
#pragma once

#include <string>

namespace gallop::cli {

// VLLM_API_KEY: a key that requests must carry; empty when unset.
std::string environment_api_key();

}  // namespace gallop::cli
