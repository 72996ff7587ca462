// The inner loops of PagedAttention between the products of queries and keys, which are those of
// Linear, and the sums of values (simd_weighted_sum.h). Compiled once per instruction set and
// chosen at run time (Highway).
#pragma once

#include <cstdint>

namespace gallop::ops::simd {

// x[i] = x[i] * scale; gives the largest of them and `least`.
float scale_and_max(float* x, int64_t n, float scale, float least);

// x[i] = exp(x[i] - shift); gives their sum, added up by sixteen lanes, ascending, and one fixed
// tree over them.
float exp_and_sum(float* x, int64_t n, float shift);

}  // namespace gallop::ops::simd
