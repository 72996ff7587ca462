#include <algorithm>
#include <array>
#include <cmath>

#include "ops/cpu/cpu_math.h"
#include "ops/cpu/cpu_ops.h"

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

// What a head of a row keeps from tile to tile, beside its output.
struct Softmax {
  float best = -INFINITY;
  float total = 0;
};

// Takes in the keys of one tile, or those of them that the row sees.
void attend_tile(float* out, const float* q, const PagedHead& head, KeyRange keys, float scale,
                 int64_t dim, Softmax& softmax) {
  std::array<float, kKeyTile> scores;
  float* score = scores.data();
  float best = softmax.best;
  for (int64_t j = keys.begin; j < keys.end; ++j, ++score) {
    *score = simd::dot(q, head.keys + head.offset(j), dim) * scale;
    best = std::max(best, *score);
  }
  const float fade = std::exp(softmax.best - best);
  softmax = {.best = best, .total = softmax.total * fade};
  for (int64_t i = 0; i < dim; ++i) out[i] *= fade;
  score = scores.data();
  for (int64_t j = keys.begin; j < keys.end; ++j, ++score) {
    const float weight = std::exp(*score - best);
    softmax.total += weight;
    simd::axpy(weight, head.values + head.offset(j), out, dim);
  }
}

void attend(float* out, const float* q, const PagedHead& head, KeyRange keys, float scale,
            int64_t dim) {
  std::fill(out, out + dim, 0.0f);
  Softmax softmax;
  for (int64_t begin = keys.begin; begin < keys.end;) {
    const int64_t end = std::min(keys.end, (begin / kKeyTile + 1) * kKeyTile);
    attend_tile(out, q, head, {begin, end}, scale, dim, softmax);
    begin = end;
  }
  for (int64_t i = 0; i < dim; ++i) out[i] /= softmax.total;
}

void attend_row(const PagedAttention& op, int64_t sequence_index, const SequenceRows& sequence,
                int64_t row) {
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
           op.q.row<const float>(row) + h * op.q.stride(1), head, keys, op.scale, dim);
  }
}

// The pages that the rows of a sequence read lie inside the cache.
void check_pages(const PagedAttention& op, int64_t sequence_index, const SequenceRows& sequence) {
  const int64_t page_size = op.k_pages.extent(1);
  const int64_t begin = visible(op, sequence, sequence.position).begin;
  const int64_t end = visible(op, sequence, sequence.position + sequence.rows - 1).end;
  CHECK_LE(end, op.batch.page_table.extent(1) * page_size);
  const int32_t* pages = op.batch.page_table.row<const int32_t>(sequence_index);
  for (int64_t i = begin / page_size; i * page_size < end; ++i) {
    CHECK(pages[i] >= 0 && pages[i] < op.k_pages.extent(0));
  }
}

}  // namespace

void run_cpu(const PagedAttention& op, ThreadPool& pool) {
  for (int64_t s = 0; s < op.batch.num_sequences(); ++s) {
    const SequenceRows& sequence = sequence_rows(op.batch, s);
    check_pages(op, s, sequence);
    pool.parallel_for(sequence.rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) attend_row(op, s, sequence, sequence.row_begin + i);
    });
  }
}

}  // namespace gallop::ops
