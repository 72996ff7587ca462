#include "engine/batch_buffers.h"

#include "cache/page_math.h"

namespace gallop::engine {

Result<BatchBuffers> BatchBuffers::create(int64_t max_rows, int64_t max_sequences,
                                          int64_t max_pages, ops::Backend& backend) {
  Arena arena;
  const size_t ids = arena.reserve(DType::kI32, {max_rows});
  const size_t positions = arena.reserve(DType::kI32, {max_rows});
  const size_t kv_slots = arena.reserve(DType::kI32, {max_rows});
  const size_t sequences = arena.reserve(DType::kI32, {max_sequences, 6});
  const size_t page_table = arena.reserve(DType::kI32, {max_sequences, max_pages});
  BatchBuffers buffers;
  ASSIGN_OR_RETURN(buffers.memory_, backend.allocate(arena.bytes()));
  buffers.ids_ = arena.place(ids, buffers.memory_);
  buffers.positions_ = arena.place(positions, buffers.memory_);
  buffers.kv_slots_ = arena.place(kv_slots, buffers.memory_);
  buffers.sequences_ = arena.place(sequences, buffers.memory_);
  buffers.page_table_ = arena.place(page_table, buffers.memory_);
  return buffers;
}

UploadedBatch BatchBuffers::upload(std::vector<BatchSequence>& sequences, ops::Backend& backend) {
  const auto max_pages = static_cast<size_t>(page_table_.extent(1));
  std::vector<int32_t> ids, positions, kv_slots;
  std::vector<ops::SequenceRows> rows;
  std::vector<int32_t> page_table(sequences.size() * max_pages, 0);
  for (size_t s = 0; s < sequences.size(); ++s) {
    BatchSequence& sequence = sequences[s];
    CHECK_EQ(sequence.ids.size(), static_cast<size_t>(sequence.rows.rows));
    CHECK_LE(sequence.pages.size(), max_pages);
    sequence.rows.row_begin = static_cast<int32_t>(ids.size());
    for (int32_t i = 0; i < sequence.rows.rows; ++i) {
      const int32_t position = sequence.rows.position + i;
      positions.push_back(position);
      kv_slots.push_back(cache::slot_of(sequence.pages, position));
    }
    ids.insert(ids.end(), sequence.ids.begin(), sequence.ids.end());
    rows.push_back(sequence.rows);
    std::copy(sequence.pages.begin(), sequence.pages.end(),
              page_table.begin() + static_cast<std::ptrdiff_t>(s * max_pages));
  }
  const auto num_rows = static_cast<int64_t>(ids.size());
  const auto num_sequences = static_cast<int64_t>(sequences.size());
  const UploadedBatch uploaded{.ids = ids_.rows(0, num_rows),
                               .batch = {.sequences = sequences_.rows(0, num_sequences),
                                         .positions = positions_.rows(0, num_rows),
                                         .kv_slots = kv_slots_.rows(0, num_rows),
                                         .page_table = page_table_.rows(0, num_sequences)}};
  backend.upload(uploaded.ids, ids.data());
  backend.upload(uploaded.batch.positions, positions.data());
  backend.upload(uploaded.batch.kv_slots, kv_slots.data());
  backend.upload(uploaded.batch.sequences, rows.data());
  backend.upload(uploaded.batch.page_table, page_table.data());
  return uploaded;
}

}  // namespace gallop::engine
