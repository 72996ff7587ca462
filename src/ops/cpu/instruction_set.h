// Which of the instruction sets that the inner loops were compiled for may be used. Bits of results
// are equal for one instruction set, so whoever compares machines forces the same one on each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace gallop::ops {

// Those that this machine can run, best first, as Highway names them ("AVX3", "AVX2", "SSE4", ...).
std::vector<std::string> runnable_instruction_sets();

// Nothing better than `name` is used from here on. Call it before the first operation. An error
// lists the names there are.
Result<void> limit_instruction_set(std::string_view name);

}  // namespace gallop::ops
