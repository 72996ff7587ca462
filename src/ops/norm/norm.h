// RMS norms. All sums and products in f32, one rounding at store.
#pragma once

#include "tensor/tensor_view.h"

namespace gallop::ops {

// out[row] = x[row] * rsqrt(mean(x[row]^2) + eps) * (weight_offset + weight).
// `weight_offset` is 1 for Qwen3.5's zero-centred norms, 0 for the drafter's plain ones. `out` may
// be `x`. Source: Qwen3_5RMSNorm (transformers, modeling_qwen3_5.py); Qwen3RMSNorm for the drafter.
struct RmsNorm {
  TensorView out;     // [rows, width] activation dtype
  TensorView x;       // [rows, width] activation dtype
  TensorView weight;  // [width] f32
  float weight_offset = 0;
  float eps = 0;
};

// residual[row] += delta[row]; out[row] = RmsNorm of the new residual[row].
// Source: Qwen3_5DecoderLayer.forward: residual add, then the next norm (transformers,
// modeling_qwen3_5.py); one op because a GPU reads the row once.
struct AddRmsNorm {
  TensorView residual;  // [rows, width] activation dtype, read and written
  TensorView delta;     // [rows, width] activation dtype
  TensorView out;       // [rows, width] activation dtype, overlaps neither
  TensorView weight;    // [width] f32
  float weight_offset = 0;
  float eps = 0;
};

// Per head: out = x * rsqrt(mean(x^2) + eps) * weight * silu(gate); silu(z) = z / (1 + exp(-z)).
// The mean is over one head; the weight is shared by all heads. Norm before gate. `out` may be `x`.
// Source: Qwen3_5RMSNormGated (transformers, modeling_qwen3_5.py), kept in f32 throughout.
struct GatedRmsNorm {
  TensorView out;     // [rows, heads, width] activation dtype
  TensorView x;       // [rows, heads, width] activation dtype
  TensorView gate;    // [rows, heads, width] activation dtype, rows may be strided
  TensorView weight;  // [width] f32
  float eps = 0;
};

void validate(const RmsNorm& op);
void validate(const AddRmsNorm& op);
void validate(const GatedRmsNorm& op);

}  // namespace gallop::ops
