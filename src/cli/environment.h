// The one place that reads environment variables; commands get values, never names.
#pragma once

#include <string>

namespace gallop::cli {

// VLLM_API_KEY: a key that requests must carry; empty when unset.
std::string environment_api_key();

// GALLOP_INSTRUCTION_SET: the best instruction set that may be used ("AVX2"; `gallop doctor` names
// those there are); empty when unset.
std::string environment_instruction_set();

}  // namespace gallop::cli
