// Attention over paged keys and values.
#pragma once

#include "ops/ragged_batch.h"
#include "tensor/tensor_view.h"

namespace gallop::ops {

// out[row, h] = sum over visible keys j of softmax_j(scale * q[row, h] . k_j) v_j, with the keys
// and values of kv head h / (q_heads / kv_heads). The keys of this step's rows are already in the
// pages. Row at position p of a sequence whose last new row is at position e sees key j when
//   j <= p (causal) or j <= e (not causal), and, with a window w > 0, p - j < w.
// Softmax in f32; keys in ascending order of position, whatever else runs. `out` must not overlap
// q. Source: Qwen3_5Attention with eager_attention_forward (transformers, modeling_qwen3_5.py); the
// block rule: DFlash, full attention without a mask inside the block.
struct PagedAttention {
  TensorView out;      // [rows, q_heads, head_dim] activation dtype
  TensorView q;        // [rows, q_heads, head_dim] activation dtype
  TensorView k_pages;  // [pages, page_size, kv_heads, head_dim] cache dtype
  TensorView v_pages;  // [pages, page_size, kv_heads, head_dim] cache dtype
  RaggedBatch batch;
  float scale = 0;
  bool causal = true;
  int32_t window = 0;  // 0: no window; a window counts the row itself
};

void validate(const PagedAttention& op);

}  // namespace gallop::ops
