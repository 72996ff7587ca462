// Gated DeltaNet: the recurrent mixer of the linear-attention layers, with a state that can be
// rolled back.
#pragma once

#include "ops/ragged_batch.h"
#include "tensor/tensor_view.h"

namespace gallop::ops {

// Per value head h with key head h / (v_heads / k_heads), state S [k_dim, v_dim], per new row:
//   q = q / sqrt(sum(q^2) + 1e-6) / sqrt(k_dim);  k = k / sqrt(sum(k^2) + 1e-6)
//   beta = sigmoid(b);  g = -exp(a_log) * softplus(a + dt_bias)
//   S <- exp(g) S;  u = beta (v - S^T k);  S <- S + k u^T;  out = S^T q
// all in f32, the chain over k ascending.
// Which state: at position 0, zero (the slot is not read). Else the slot's state after it has taken
// in the `fold` ring entries before `position` by the same two updates (S <- exp(g) S;
// S <- S + k u^T), which is then stored. Prompt rows go on in the slot's state itself. Provisional
// rows work on a copy and leave (k, u, g) of position p in the ring at p mod ring: accepting the
// first n of them is the next step's fold = n, rolling back is a smaller fold. ring >= 2 * the most
// rows of a provisional block, so old and new entries never share a place. Source:
// Qwen3_5GatedDeltaNet, torch_recurrent_gated_delta_rule with use_qk_l2norm_in_kernel
// (transformers, modeling_qwen3_5.py); Yang et al. 2024, Gated Delta Networks, equation 10.
struct GdnUpdate {
  TensorView out;      // [rows, v_heads, v_dim] activation dtype
  TensorView qkv;      // [rows, 2 * k_heads * k_dim + v_heads * v_dim] activation dtype; q, k, v
  TensorView a;        // [rows, v_heads] activation dtype, rows may be strided
  TensorView b;        // [rows, v_heads] activation dtype, rows may be strided
  TensorView a_log;    // [v_heads] f32
  TensorView dt_bias;  // [v_heads] f32
  TensorView state;    // [slots, v_heads, k_dim, v_dim] f32
  TensorView ring_k;   // [slots, ring, k_heads, k_dim] f32
  TensorView ring_u;   // [slots, ring, v_heads, v_dim] f32
  TensorView ring_g;   // [slots, ring, v_heads] f32
  RaggedBatch batch;
};

void validate(const GdnUpdate& op);

}  // namespace gallop::ops
