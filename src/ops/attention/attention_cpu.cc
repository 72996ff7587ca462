#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/simd.h"

namespace gallop::ops {
namespace {

// Where one sequence's keys and values lie, for one kv head.
struct PagedHead {
  const float* keys;     // of page 0, this head
  const float* values;   // likewise
  const int32_t* pages;  // page numbers of the sequence
  int64_t page_size;
  int64_t token_stride;  // floats from one token to the next inside a page

  int64_t offset(int64_t position) const {
    const int64_t page = pages[position / page_size];
    return (page * page_size + position % page_size) * token_stride;
  }
};

// Visible keys of one row: positions [begin, end).
struct KeyRange {
  int64_t begin;
  int64_t end;
};

KeyRange visible(const PagedAttention& op, const SequenceRows& sequence, int64_t position) {
  const int64_t end = op.causal ? position + 1 : sequence.position + sequence.rows;
  const int64_t begin = op.window > 0 ? std::max<int64_t>(0, position - op.window + 1) : 0;
  return {begin, end};
}

void attend(float* out, const float* q, const PagedHead& head, KeyRange keys, float scale,
            int64_t dim, std::vector<float>& scores) {
  scores.resize(static_cast<size_t>(keys.end - keys.begin));
  float best = -INFINITY;
  for (int64_t j = keys.begin; j < keys.end; ++j) {
    const float score = simd::dot(q, head.keys + head.offset(j), dim) * scale;
    scores[static_cast<size_t>(j - keys.begin)] = score;
    best = std::max(best, score);
  }
  float total = 0;
  for (float& score : scores) {
    score = std::exp(score - best);
    total += score;
  }
  std::fill(out, out + dim, 0.0f);
  for (int64_t j = keys.begin; j < keys.end; ++j) {
    simd::axpy(scores[static_cast<size_t>(j - keys.begin)], head.values + head.offset(j), out, dim);
  }
  for (int64_t i = 0; i < dim; ++i) out[i] /= total;
}

void attend_row(const PagedAttention& op, int64_t sequence_index, const SequenceRows& sequence,
                int64_t row, std::vector<float>& scores) {
  const int64_t q_heads = op.q.extent(1);
  const int64_t dim = op.q.extent(2);
  const int64_t kv_heads = op.k_pages.extent(2);
  const int64_t position = sequence.position + (row - sequence.row_begin);
  const KeyRange keys = visible(op, sequence, position);
  for (int64_t h = 0; h < q_heads; ++h) {
    const int64_t kv_head = h / (q_heads / kv_heads);
    const PagedHead head{.keys = op.k_pages.as<const float>() + kv_head * dim,
                         .values = op.v_pages.as<const float>() + kv_head * dim,
                         .pages = op.batch.page_table.row<const int32_t>(sequence_index),
                         .page_size = op.k_pages.extent(1),
                         .token_stride = kv_heads * dim};
    attend(op.out.row<float>(row) + h * op.out.stride(1),
           op.q.row<const float>(row) + h * op.q.stride(1), head, keys, op.scale, dim, scores);
  }
}

}  // namespace

void run_cpu(const PagedAttention& op, ThreadPool& pool) {
  for (int64_t s = 0; s < op.batch.num_sequences(); ++s) {
    const SequenceRows sequence =
        *reinterpret_cast<const SequenceRows*>(op.batch.sequences.row<const int32_t>(s));
    pool.parallel_for(sequence.rows, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scores;
      for (int64_t i = begin; i < end; ++i) {
        attend_row(op, s, sequence, sequence.row_begin + i, scores);
      }
    });
  }
}

}  // namespace gallop::ops
