// Weighted sums of vectors, the inner loop of PagedAttention's values. Compiled once per
// instruction set and chosen at run time (Highway). Each output is one chain of fused multiply-adds
// over ascending terms: how many rows are summed at once changes no bit.
#pragma once

#include <cstdint>

namespace gallop::ops::simd {

// out[r] = out[r] * fade[r], then for each term, ascending: out[r] = fma(weight[r][term],
// values[term], out[r]).
struct WeightedSum {
  float* out = nullptr;  // [rows, dim], rows `out_stride` apart
  int64_t out_stride = 0;
  int64_t rows = 0;
  int64_t dim = 0;
  const float* fade = nullptr;     // [rows]
  const float* weights = nullptr;  // [rows, terms], rows `weights_stride` apart
  int64_t weights_stride = 0;
  int64_t weight_step = 1;               // from one term's weight to the next
  const float* const* values = nullptr;  // [terms], each [dim]
  int64_t terms = 0;
};
void add_weighted_sum(const WeightedSum& op);

}  // namespace gallop::ops::simd
