// Moving rows between buffers of a step.
#pragma once

#include "tensor/tensor_view.h"

namespace gallop::ops {

// out[i] = x[rows[i]]: the rows that need logits, or whose features go on to the drafter.
// Source: row selection before lm_head (logits_to_keep in transformers, modeling_qwen3_5.py).
struct GatherRows {
  TensorView out;   // [count, width] activation dtype, rows may be strided
  TensorView x;     // [rows, width] activation dtype, rows may be strided
  TensorView rows;  // [count] i32, inside [0, rows)
};

// out = x: captures the residual stream into its column range of the features.
// Source: DFlash, hidden_states[id + 1] for id in target_layer_ids (z-lab/dflash, model.py).
struct CopyRows {
  TensorView out;  // [rows, width] activation dtype, rows may be strided
  TensorView x;    // [rows, width] activation dtype, rows may be strided
};

void validate(const GatherRows& op);
void validate(const CopyRows& op);

}  // namespace gallop::ops
