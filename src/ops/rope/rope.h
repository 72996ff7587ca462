// Per-head norm and rotary position embedding of queries and keys.
#pragma once

#include "tensor/tensor_view.h"

namespace gallop::ops {

// Each head of x is normed (RmsNorm over head_dim with weight_offset + weight), then its first
// rotary_dim values are rotated: value i pairs with i + rotary_dim / 2 (NeoX style),
//   out[i]        = x[i] cos(p f_i) - x[i + r/2] sin(p f_i)
//   out[i + r/2]  = x[i + r/2] cos(p f_i) + x[i] sin(p f_i),   f_i = theta^(-2 i / rotary_dim),
// p the row's position; angles, cos and sin in f32. The rest of the head passes through. `out` must
// not overlap `x`.
// Source: Qwen3_5Attention.forward, q_norm / k_norm and apply_rotary_pos_emb (transformers,
// modeling_qwen3_5.py; text positions, where the three M-RoPE axes are equal); Qwen3Attention for
// the drafter.
struct NormRope {
  TensorView out;        // [rows, heads, head_dim] activation dtype
  TensorView x;          // [rows, heads, head_dim] activation dtype, rows and heads may be strided
  TensorView weight;     // [head_dim] f32
  TensorView positions;  // [rows] i32
  float weight_offset = 0;
  float eps = 0;
  float theta = 0;
  int32_t rotary_dim = 0;  // even, at most head_dim
};

void validate(const NormRope& op);

}  // namespace gallop::ops
