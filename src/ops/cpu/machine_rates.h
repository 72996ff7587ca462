// How fast this machine's cores read memory and multiply: the ceilings beside which speeds are
// reported. Each call measures for some tenths of a second and gives the best pass, since whatever
// else runs can only slow a pass down. Uses the instruction set that the operations use.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace gallop::ops {

// Bytes a second at which `threads` threads together read the same `bytes` again and again: a
// memory's rate when they are more than the caches hold. kUnavailable without memory for them.
Result<double> read_rate(int64_t bytes, int threads);

// F32 floating-point operations a second, two for each multiply-add, on registers alone.
double multiply_add_rate(int threads);

}  // namespace gallop::ops
