// The inner loops of Linear, compiled once per instruction set and chosen at run time (Highway).
// Rows are arranged once, then multiplied by columns of a matrix. One row multiplies the stored
// weights as they come; several rows share a panel of columns that stays in the first-level cache,
// bf16 where it lies, other weights widened to f32. All add up in the one order that the contract
// of Linear gives, so the number of rows changes no bit.
#pragma once

#include <algorithm>
#include <cstdint>

#include <hwy/aligned_allocator.h>

#include "ops/linear/linear_weight.h"

namespace gallop::ops::simd {

// Columns of a panel: callers that split a matrix do so at multiples of it.
inline constexpr int64_t kPanelColumns = 12;

// Rows that share a widened panel. More rows are multiplied block by block.
inline constexpr int64_t kRowBlock = 128;

// Lanes of a chain (the contract of Linear).
inline constexpr int kChainLanes = 8;

// Row groups whose inputs are arranged together.
inline constexpr int64_t kBlockGroups = 8;

// Inputs of some rows in the order in which the loops take them: [blocks of row groups][halves of
// steps][row groups][rows][kChainLanes]. As many rows are a group as lie side by side in a
// register; rows that the last group lacks are zero.
class LinearInputs {
 public:
  LinearInputs(int64_t rows, int64_t k);

  // Row r becomes x [k], multiplied by scale [k] where there is one.
  void set(int64_t r, const float* x, const float* scale = nullptr);

  int64_t rows() const { return rows_; }
  // Where the first half step of block b is, and how many floats lie from each to the next.
  const float* block(int64_t b) const { return data_.get() + b * block_floats_; }
  int64_t stride(int64_t b) const {
    return std::min(kBlockGroups, groups_ - b * kBlockGroups) * group_floats_;
  }

 private:
  int64_t rows_;
  int64_t k_;
  int64_t group_floats_;  // of a half step
  int64_t groups_;
  int64_t block_floats_;
  hwy::AlignedFreeUniquePtr<float[]> data_;
};

// out[r * out_stride + c] = sum over i of input[r, i] * weight[column + c, i] of `part`, summed as
// the contract of Linear says. Scales of whole tensors and outputs are not in the sum: they are the
// caller's.
struct LinearBlock {
  const LinearInputs* inputs = nullptr;
  const LinearPart* part = nullptr;
  int64_t column = 0;  // the first of
  int64_t columns = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
};
void linear_block(const LinearBlock& block);

}  // namespace gallop::ops::simd
