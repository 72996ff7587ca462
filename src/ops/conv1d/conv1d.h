// Causal depthwise convolution over time with carried inputs.
#pragma once

#include "ops/ragged_batch.h"
#include "tensor/tensor_view.h"

namespace gallop::ops {

// u[t, c] = sum over j of weight[c, j] * x[t - (width - 1) + j, c], j ascending;
// out = silu(u) = u / (1 + exp(-u)). Inputs before the step's rows come from the ring, where the
// input of position p lies at p mod ring; inputs before position 0 are zero (the ring is not read).
// The step's own inputs go into the ring, so a roll-back is a smaller position in the next step.
// ring >= width - 1 + the most rows of a provisional block. `out` must not overlap `x`.
// Source: Qwen3_5GatedDeltaNet.forward, causal_conv1d with silu (transformers,
// modeling_qwen3_5.py), kept in f32 through silu.
struct CausalConv1d {
  TensorView out;     // [rows, channels] activation dtype
  TensorView x;       // [rows, channels] activation dtype, rows may be strided
  TensorView weight;  // [channels, width] f32
  TensorView ring;    // [slots, ring, channels] activation dtype, read and written
  RaggedBatch batch;
};

void validate(const CausalConv1d& op);

}  // namespace gallop::ops
