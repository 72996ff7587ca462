// The inner loops of Linear, compiled once per instruction set and chosen at run time (Highway).
// One row multiplies the stored weights as they come; several rows share weights that were widened
// to f32 into a panel small enough for the first-level cache. Both add up in the one order that the
// contract of Linear gives, so the number of rows changes no bit.
#pragma once

#include <cstdint>

#include "ops/linear/linear_weight.h"

namespace gallop::ops::simd {

// Columns of a panel: callers that split a matrix do so at multiples of it.
inline constexpr int64_t kPanelColumns = 12;

// out[r * out_stride + c] = sum over i of x[r * x_stride + i] * input_scale[i] * weight[column + c,
// i] of `part`, summed as the contract of Linear says. Scales of whole tensors and outputs are not
// in the sum: they are the caller's.
struct LinearBlock {
  const float* x = nullptr;
  int64_t x_stride = 0;
  int64_t rows = 0;
  const LinearPart* part = nullptr;
  int64_t column = 0;  // the first of
  int64_t columns = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
};
void linear_block(const LinearBlock& block);

}  // namespace gallop::ops::simd
