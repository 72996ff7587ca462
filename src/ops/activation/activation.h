// Elementwise gates. Computed in f32, rounded once.
#pragma once

#include "tensor/tensor_view.h"

namespace gallop::ops {

// out = silu(gate) * up; silu(z) = z / (1 + exp(-z)).
// Source: Qwen3_5MLP.forward, act_fn(gate_proj(x)) * up_proj(x) (transformers,
// modeling_qwen3_5.py).
struct SiluMul {
  TensorView out;      // [rows, intermediate] activation dtype
  TensorView gate_up;  // [rows, 2 * intermediate] activation dtype; gate first
};

// x *= sigmoid(gate); sigmoid(z) = 1 / (1 + exp(-z)).
// Source: Qwen3_5Attention.forward, attn_output * sigmoid(gate) (transformers,
// modeling_qwen3_5.py).
struct SigmoidMul {
  TensorView x;     // [rows, heads, head_dim] activation dtype, read and written
  TensorView gate;  // [rows, heads, head_dim] activation dtype, heads may be strided
};

void validate(const SiluMul& op);
void validate(const SigmoidMul& op);

}  // namespace gallop::ops
