// Accepting drafts.
#pragma once

#include "ops/ragged_batch.h"
#include "tensor/tensor_view.h"

namespace gallop::ops {

// For each block [anchor, d_1, ..., d_m] that was verified: accepted = the number of leading drafts
// with d_(i+1) = chosen[i], where chosen[i] is the target's own choice after row i.
// Source: z-lab/dflash, model.py, the acceptance of a block; exact-match sampling.
struct AcceptDrafts {
  TensorView accepted;    // [blocks] i32
  TensorView block_rows;  // [blocks, 2] i32: first row and number of rows of a block
  TensorView ids;         // [rows] i32, what was fed in
  TensorView chosen;      // [rows] i32, what the target chose
};

void validate(const AcceptDrafts& op);

}  // namespace gallop::ops
