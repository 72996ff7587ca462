// The inner loop of GdnUpdate, compiled once per instruction set and chosen at run time (Highway).
// The columns of a state do not depend on each other: a block of them stays in the first-level
// cache while all rows of a step pass over it, each once.
#pragma once

#include <cstdint>

namespace gallop::ops::simd {

// Columns of a block. Four vectors of them at a time stay in the first-level cache: at k_dim 128
// 16 KiB with vectors of eight, 32 KiB with sixteen.
inline constexpr int64_t kGdnColumns = 64;

// Some columns of one value head's state S, and the rows of one sequence (GdnUpdate says what they
// do). Pointers to v_dim values point at the first of the columns. Each column is a chain of its
// own, ascending over k.
struct GdnBlock {
  float* state = nullptr;  // [k_dim, v_dim]
  int64_t k_dim = 0;
  int64_t v_dim = 0;
  int64_t columns = 0;  // at most kGdnColumns
  bool fresh = false;   // the state counts as zero, whatever it holds
  bool keep = false;    // the rows change the state; else it only takes in the folded ones

  int64_t fold = 0;  // rows that the state takes in first: S <- decay S, then S <- S + k u^T
  const float* fold_k = nullptr;      // [fold, k_dim]
  const float* fold_u = nullptr;      // [fold, v_dim]
  const float* fold_decay = nullptr;  // [fold]

  int64_t rows = 0;          // at least 1
  const float* q = nullptr;  // [rows, k_dim], rows `qk_stride` apart, normalised and scaled
  const float* k = nullptr;  // likewise, normalised
  int64_t qk_stride = 0;
  const float* v = nullptr;  // [rows, v_dim], rows `v_stride` apart
  int64_t v_stride = 0;
  const float* decay = nullptr;  // exp(g) of each row, `gate_stride` apart
  const float* beta = nullptr;
  int64_t gate_stride = 0;
  float* u = nullptr;    // [rows, v_dim], contiguous, written
  float* out = nullptr;  // [rows, v_dim], rows `out_stride` apart, written
  int64_t out_stride = 0;
  float* scratch = nullptr;  // [k_dim, kGdnColumns]
};
void gdn_block(const GdnBlock& block);

}  // namespace gallop::ops::simd
