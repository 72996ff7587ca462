// The rows of one step: several sequences side by side, each with its own number of new tokens.
// All of it lies in device memory, so that a recorded step can be replayed with other content.
#pragma once

#include <cstdint>

#include "tensor/tensor_view.h"

namespace gallop::ops {

// One sequence's share of a step; one row of RaggedBatch::sequences.
struct SequenceRows {
  int32_t row_begin = 0;   // first row of the step
  int32_t rows = 0;        // new tokens, at least 1
  int32_t position = 0;    // of the first new token; so many tokens are in the caches already
  int32_t state_slot = 0;  // GDN state and rings
  int32_t fold = 0;        // accepted ring entries, positions [position - fold, position), that the
                           // GDN state does not hold yet
  int32_t provisional = 0;  // 1: these rows may be rolled back, their updates go to the ring;
                            // 0: prompt rows, they change the state itself
};
static_assert(sizeof(SequenceRows) == 6 * sizeof(int32_t));

struct RaggedBatch {
  TensorView sequences;   // [sequences, 6] i32, SequenceRows
  TensorView positions;   // [rows] i32, position of each row in its sequence
  TensorView kv_slots;    // [rows] i32, where a row's key and value go: page * page_size + offset
  TensorView page_table;  // [sequences, max_pages] i32, page numbers in order of position

  int64_t rows() const { return positions.extent(0); }
  int64_t num_sequences() const { return sequences.extent(0); }
};

}  // namespace gallop::ops
