// The inner loops of PagedAttention beside the products of queries and keys, which are those of
// Linear. Compiled once per instruction set and chosen at run time (Highway).
#pragma once

#include <cstdint>

namespace gallop::ops::simd {

// x[i] = x[i] * scale; gives the largest of them and `least`.
float scale_and_max(float* x, int64_t n, float scale, float least);

// x[i] = exp(x[i] - shift); gives their sum, added up in the order that the contract of Linear
// gives.
float exp_and_sum(float* x, int64_t n, float shift);

// out[r] = out[r] * fade[r], then for each key, ascending: out[r] = fma(weight[r][key], value,
// out[r]).
struct WeightedValues {
  float* out = nullptr;  // [rows, dim], rows `out_stride` apart
  int64_t out_stride = 0;
  int64_t rows = 0;
  int64_t dim = 0;
  const float* fade = nullptr;     // [rows]
  const float* weights = nullptr;  // [rows, keys], rows `weights_stride` apart
  int64_t weights_stride = 0;
  const float* const* values = nullptr;  // [keys], each [dim]
  int64_t keys = 0;
};
void add_weighted_values(const WeightedValues& op);

}  // namespace gallop::ops::simd
