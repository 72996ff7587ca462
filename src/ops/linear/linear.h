// Linear layers.
#pragma once

#include "ops/linear/linear_weight.h"
#include "tensor/tensor_view.h"

namespace gallop::ops {

// out[row, j] = sum over i of x[row, i] * weight[j, i]; the parts' outputs stand side by side in
// their order. Weights are widened exactly, but for scales of FP8 tiles, which multiply them in
// f32; an input scale multiplies x before; a scale of a whole tensor or of an output multiplies the
// sum. Accumulates in f32, rounds once at store. One output is one fixed chain, whatever the number
// of rows: lane l of 8 sums the products of i = 2 l, 2 l + 1,
// 2 l + 16, 2 l + 17, ... ascending with fused multiply-adds, then lanes l and l + 4, l + 2, l + 1
// are added. No bias. `out` must not overlap `x`. `weight` outlives the call. Source:
// torch.nn.Linear without bias (all projections of Qwen3.5 and of the DFlash drafter).
struct Linear {
  TensorView out;  // [rows, n] activation dtype or f32 (logits)
  TensorView x;    // [rows, k] activation dtype
  const LinearWeight* weight = nullptr;
};

// Shapes agree, or CHECK.
void validate(const Linear& op);

}  // namespace gallop::ops
