#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "ops/cpu/cpu_math.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/simd.h"
#include "ops/cpu/simd_attention.h"
#include "ops/cpu/simd_linear.h"
#include "ops/cpu/simd_weighted_sum.h"

namespace gallop::ops {
namespace {

// Rows of a task: with the heads of a group they share each key and value that is read.
constexpr int64_t kRowsAtOnce = 16;

// Of a cache line.
constexpr int64_t kLineFloats = 16;

// Positions [begin, end).
struct KeyRange {
  int64_t begin;
  int64_t end;

  bool empty() const { return begin >= end; }
  KeyRange within(const KeyRange& other) const {
    return {std::max(begin, other.begin), std::min(end, other.end)};
  }
};

KeyRange visible(const PagedAttention& op, const SequenceRows& sequence, int64_t position) {
  const int64_t end = op.causal ? position + 1 : sequence.position + sequence.rows;
  const int64_t begin = op.window > 0 ? std::max<int64_t>(0, position - op.window + 1) : 0;
  return {begin, end};
}

// Some rows of one sequence, some heads of the group of one kv head.
struct Task {
  int64_t sequence;
  int64_t first_row;  // of the sequence
  int64_t rows;
  int64_t kv_head;
  int64_t first_head;
  int64_t heads;
};

std::unique_ptr<float[]> unset(int64_t size) {
  return std::make_unique_for_overwrite<float[]>(static_cast<size_t>(size));
}

class RowsAttention {
 public:
  RowsAttention(const PagedAttention& op, const Task& task)
      : op_(op),
        task_(task),
        sequence_(sequence_rows(op.batch, task.sequence)),
        pages_(op.batch.page_table.row<const int32_t>(task.sequence)),
        dim_(op.q.extent(2)),
        token_stride_(op.k_pages.extent(2) * dim_),
        queries_(task.rows * task.heads, dim_),
        scores_(unset(task.rows * task.heads * kKeyTile)),
        best_(static_cast<size_t>(task.rows * task.heads), -INFINITY),
        total_(best_.size()),
        fade_(best_.size()),
        sums_(static_cast<size_t>(task.rows * task.heads * dim_)) {}

  void run() {
    for (int64_t i = 0; i < task_.rows; ++i) begin_row(i);
    const int64_t position = sequence_.position + task_.first_row;
    const KeyRange all{visible(op_, sequence_, position).begin,
                       visible(op_, sequence_, position + task_.rows - 1).end};
    for (int64_t tile = all.begin / kKeyTile * kKeyTile; tile < all.end; tile += kKeyTile) {
      attend_tile(all.within({tile, tile + kKeyTile}));
    }
    for (int64_t i = 0; i < task_.rows; ++i) end_row(i);
  }

 private:
  // The place of a position among the tokens of all pages.
  int64_t token(int64_t position) const {
    const int64_t page_size = op_.k_pages.extent(1);
    return pages_[position / page_size] * page_size + position % page_size;
  }

  void begin_row(int64_t i) {
    const float* q = op_.q.row<const float>(sequence_.row_begin + task_.first_row + i) +
                     task_.first_head * op_.q.stride(1);
    for (int64_t h = 0; h < task_.heads; ++h) {
      queries_.set(i * task_.heads + h, q + h * op_.q.stride(1));
    }
  }

  void end_row(int64_t i) {
    float* out = op_.out.row<float>(sequence_.row_begin + task_.first_row + i) +
                 task_.first_head * op_.out.stride(1);
    for (int64_t h = 0; h < task_.heads; ++h) {
      const int64_t place = i * task_.heads + h;
      simd::divide(sums_.data() + place * dim_, total_[static_cast<size_t>(place)],
                   out + h * op_.out.stride(1), dim_);
    }
  }

  KeyRange seen_by(int64_t i, KeyRange keys) const {
    return visible(op_, sequence_, sequence_.position + task_.first_row + i).within(keys);
  }

  // Keys of one tile, or those of them that any of the rows sees. What all rows see from its first
  // key on is added up for all of them at once, the rest row by row behind it.
  void attend_tile(KeyRange keys) {
    const float* values[kKeyTile];
    for (int64_t j = keys.begin; j < keys.end; ++j) {
      const float* value =
          op_.v_pages.as<const float>() + token(j) * token_stride_ + task_.kv_head * dim_;
      values[j - keys.begin] = value;
      for (int64_t d = 0; d < dim_; d += kLineFloats) __builtin_prefetch(value + d);
    }
    score(keys);
    int64_t common = keys.end;
    for (int64_t i = 0; i < task_.rows; ++i) {
      const KeyRange seen = seen_by(i, keys);
      common =
          seen.begin == keys.begin ? std::min(common, std::max(seen.end, keys.begin)) : keys.begin;
      weigh(i, seen, keys.begin);
    }
    add_values(0, task_.rows, {keys.begin, common}, keys.begin, values);
    std::fill(fade_.begin(), fade_.end(), 1.0f);
    for (int64_t i = 0; i < task_.rows; ++i) {
      const KeyRange rest = seen_by(i, keys).within({common, keys.end});
      if (!rest.empty()) add_values(i, 1, rest, keys.begin, values);
    }
  }

  // The product of every query with every key: page by page, as linears whose weights are the keys.
  void score(KeyRange keys) {
    const int64_t page_size = op_.k_pages.extent(1);
    const int64_t tokens = op_.k_pages.extent(0) * page_size;
    const TensorView all_keys = op_.k_pages.reshaped({tokens, token_stride_})
                                    .columns(task_.kv_head * dim_, (task_.kv_head + 1) * dim_);
    for (int64_t j = keys.begin; j < keys.end;) {
      const int64_t end = std::min(keys.end, (j / page_size + 1) * page_size);
      const int64_t first = token(j);
      const LinearPart part{.weight = FloatWeight{all_keys.rows(first, first + (end - j))}};
      simd::linear_block({.inputs = &queries_,
                          .part = &part,
                          .column = 0,
                          .columns = end - j,
                          .out = scores_.get() + (j - keys.begin),
                          .out_stride = kKeyTile});
      j = end;
    }
  }

  // Turns the scores of the keys `seen` into weights, for the heads of row i.
  void weigh(int64_t i, KeyRange seen, int64_t first) {
    const int64_t count = seen.end - seen.begin;
    for (int64_t place = i * task_.heads; place < (i + 1) * task_.heads; ++place) {
      const auto at = static_cast<size_t>(place);
      fade_[at] = 1;
      if (seen.empty()) continue;
      float* scores = scores_.get() + place * kKeyTile + (seen.begin - first);
      const float best = simd::scale_and_max(scores, count, op_.scale, best_[at]);
      fade_[at] = std::exp(best_[at] - best);
      total_[at] = total_[at] * fade_[at] + simd::exp_and_sum(scores, count, best);
      best_[at] = best;
    }
  }

  // Fades the sums of rows [i, i + rows) and adds the weighted values of `keys`.
  void add_values(int64_t i, int64_t rows, KeyRange keys, int64_t first,
                  const float* const* values) {
    const int64_t begin = keys.begin - first;
    const int64_t place = i * task_.heads;
    simd::add_weighted_sum({.out = sums_.data() + place * dim_,
                            .out_stride = dim_,
                            .rows = rows * task_.heads,
                            .dim = dim_,
                            .fade = fade_.data() + place,
                            .weights = scores_.get() + place * kKeyTile + begin,
                            .weights_stride = kKeyTile,
                            .values = values + begin,
                            .terms = keys.end - keys.begin});
  }

  const PagedAttention& op_;
  const Task& task_;
  const SequenceRows& sequence_;
  const int32_t* pages_;
  int64_t dim_;
  int64_t token_stride_;             // floats of a token's keys
  simd::LinearInputs queries_;       // [rows, heads, dim]
  std::unique_ptr<float[]> scores_;  // [rows, heads, kKeyTile]
  std::vector<float> best_;          // [rows, heads], the largest score so far
  std::vector<float> total_;         // [rows, heads], the sum of weights so far
  std::vector<float> fade_;          // [rows, heads], what is left of the sums in the current tile
  std::vector<float> sums_;          // [rows, heads, dim], of weighted values so far
};

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

// Few rows are split into smaller tasks, a single one by its heads, so that no thread idles.
void add_tasks(const PagedAttention& op, int64_t sequence, int threads, std::vector<Task>& tasks) {
  const int64_t rows = sequence_rows(op.batch, sequence).rows;
  const int64_t kv_heads = op.k_pages.extent(2);
  const int64_t group = op.q.extent(1) / kv_heads;
  const int64_t step = std::clamp<int64_t>(rows / (2 * threads), 1, kRowsAtOnce);
  const int64_t parts = rows * kv_heads < threads ? std::min<int64_t>(group, threads) : 1;
  const int64_t heads = (group + parts - 1) / parts;
  for (int64_t row = 0; row < rows; row += step) {
    for (int64_t kv_head = 0; kv_head < kv_heads; ++kv_head) {
      for (int64_t head = 0; head < group; head += heads) {
        tasks.push_back({.sequence = sequence,
                         .first_row = row,
                         .rows = std::min(step, rows - row),
                         .kv_head = kv_head,
                         .first_head = kv_head * group + head,
                         .heads = std::min(heads, group - head)});
      }
    }
  }
}

}  // namespace

void run_cpu(const PagedAttention& op, ThreadPool& pool) {
  std::vector<Task> tasks;
  for (int64_t s = 0; s < op.batch.num_sequences(); ++s) {
    check_pages(op, s, sequence_rows(op.batch, s));
    add_tasks(op, s, pool.threads(), tasks);
  }
  pool.parallel_for(static_cast<int64_t>(tasks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) RowsAttention(op, tasks[static_cast<size_t>(i)]).run();
  });
}

}  // namespace gallop::ops
