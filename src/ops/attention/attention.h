// Attention over paged keys and values.
#pragma once

#include "ops/ragged_batch.h"
#include "tensor/tensor_view.h"

namespace gallop::ops {

// Positions of a tile: its scores fit in the first-level cache, and it is a whole number of pages.
inline constexpr int64_t kKeyTile = 64;

// out[row, h] = sum over visible keys j of softmax_j(scale * q[row, h] . k_j) v_j, with the keys
// and values of kv head h / (q_heads / kv_heads). The keys of this step's rows are already in the
// pages. Row at position p of a sequence whose last new row is at position e sees key j when
//   j <= p (causal) or j <= e (not causal), and, with a window w > 0, p - j < w.
// In f32, by tiles of kKeyTile positions on the grid [0, 64), [64, 128), ..., ascending, whatever
// else runs: with m the largest score so far (-inf), t and o the sums so far (0), a tile does, with
// scores added up as Linear adds its products,
//   m' = max(m, its scores);  f = exp(m - m');  m = m';  o = o f;  w = exp(score - m) of each key;
//   and t becomes t f + the sum of its w: lane l of 16 sums w_l, w_(l + 16), ..., then lanes l and
//   l + 8, l + 4, l + 2, l + 1 are added
//   and for each of its visible keys, ascending: o = fma(w, v, o);
// in the end out = o / t. `out` must not overlap q.
// Source: Qwen3_5Attention with eager_attention_forward (transformers, modeling_qwen3_5.py); the
// tiles: Milakov and Gimelshein 2018, Online normalizer calculation for softmax, algorithm 3;
// window and block: _attention_mask (z-lab/dflash, model.py), which also hides keys w or more ahead
// of a row (published windows are longer than blocks).
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
