// The device side of a step's rows: token ids, positions, cache places and page tables.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "ops/backend.h"
#include "ops/ragged_batch.h"
#include "tensor/buffer.h"

namespace gallop::engine {

// One sequence's rows: row_begin is filled in here, the rest by the caller.
struct BatchSequence {
  ops::SequenceRows rows;
  std::vector<int32_t> ids;        // [rows.rows]
  std::span<const int32_t> pages;  // of the whole sequence, look-ahead included
};

struct UploadedBatch {
  TensorView ids;  // [rows] i32
  ops::RaggedBatch batch;
};

class BatchBuffers {
 public:
  static Result<BatchBuffers> create(int64_t max_rows, int64_t max_sequences, int64_t max_pages,
                                     ops::Backend& backend);

  // Lays the sequences side by side; valid until the next upload.
  UploadedBatch upload(std::vector<BatchSequence>& sequences, ops::Backend& backend);

 private:
  TensorView ids_;
  TensorView positions_;
  TensorView kv_slots_;
  TensorView sequences_;
  TensorView page_table_;
  Buffer memory_;
};

}  // namespace gallop::engine
