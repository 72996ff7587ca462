#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/cpu/cpu_math.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/simd_gdn.h"

namespace gallop::ops {
namespace {

// out = x * rsqrt(sum(x^2) + 1e-6) * scale.
void normalise(float* out, const float* x, int64_t dim, float scale) {
  const float inverse = 1.0f / std::sqrt(simd::dot(x, x, dim) + 1e-6f);
  for (int64_t i = 0; i < dim; ++i) out[i] = x[i] * inverse * scale;
}

// softplus(x) = log(1 + exp(x)); x itself beyond 20, as torch does.
float softplus(float x) { return x > 20.0f ? x : std::log1p(std::exp(x)); }

struct Dimensions {
  int64_t k_heads, v_heads, k_dim, v_dim;

  explicit Dimensions(const GdnUpdate& op)
      : k_heads(op.ring_k.extent(2)),
        v_heads(op.state.extent(1)),
        k_dim(op.state.extent(2)),
        v_dim(op.state.extent(3)) {}
  int64_t key_width() const { return k_heads * k_dim; }
  int64_t column_blocks() const { return (v_dim + simd::kGdnColumns - 1) / simd::kGdnColumns; }
};

// What all value heads and columns read of the rows.
struct PreparedRows {
  std::vector<float> q;      // [rows, k_heads, k_dim], normalised and scaled
  std::vector<float> k;      // [rows, k_heads, k_dim], normalised
  std::vector<float> g;      // [rows, v_heads]
  std::vector<float> decay;  // [rows, v_heads], exp(g)
  std::vector<float> beta;   // [rows, v_heads]

  PreparedRows(const Dimensions& dim, int64_t rows)
      : q(static_cast<size_t>(rows * dim.key_width())),
        k(q.size()),
        g(static_cast<size_t>(rows * dim.v_heads)),
        decay(g.size()),
        beta(g.size()) {}
};

void prepare_row(const GdnUpdate& op, const Dimensions& dim, int64_t row, PreparedRows& prepared) {
  const float* q = op.qkv.row<const float>(row);
  const float* k = q + dim.key_width();
  for (int64_t h = 0; h < dim.k_heads; ++h) {
    const int64_t place = row * dim.key_width() + h * dim.k_dim;
    normalise(prepared.q.data() + place, q + h * dim.k_dim, dim.k_dim,
              1.0f / std::sqrt(static_cast<float>(dim.k_dim)));
    normalise(prepared.k.data() + place, k + h * dim.k_dim, dim.k_dim, 1.0f);
  }
  const float* a = op.a.row<const float>(row);
  const float* b = op.b.row<const float>(row);
  const float* a_log = op.a_log.as<const float>();
  const float* dt_bias = op.dt_bias.as<const float>();
  for (int64_t h = 0; h < dim.v_heads; ++h) {
    const size_t place = static_cast<size_t>(row * dim.v_heads + h);
    prepared.g[place] = -std::exp(a_log[h]) * softplus(a[h] + dt_bias[h]);
    prepared.decay[place] = std::exp(prepared.g[place]);
    prepared.beta[place] = sigmoid(b[h]);
  }
}

// One value head of one sequence.
struct Head {
  const GdnUpdate& op;
  const SequenceRows& sequence;
  const Dimensions& dim;
  int64_t v_head;

  int64_t group() const { return dim.v_heads / dim.k_heads; }
  int64_t k_head() const { return v_head / group(); }
  // Several value heads share a key head; the first of them keeps its key in the ring.
  bool owns_key() const { return v_head % group() == 0; }
  int64_t ring_place(int64_t position) const {
    return sequence.state_slot * op.ring_k.extent(1) + position % op.ring_k.extent(1);
  }
  float* state() const {
    return op.state.row<float>(sequence.state_slot) + v_head * dim.k_dim * dim.v_dim;
  }
  float* ring_k(int64_t position) const {
    return op.ring_k.as<float>() + ring_place(position) * dim.key_width() + k_head() * dim.k_dim;
  }
  float* ring_u(int64_t position) const {
    return op.ring_u.as<float>() + (ring_place(position) * dim.v_heads + v_head) * dim.v_dim;
  }
  float* ring_g(int64_t position) const {
    return op.ring_g.as<float>() + ring_place(position) * dim.v_heads + v_head;
  }
};

// A vector that lies across two lines costs two accesses.
struct alignas(64) CacheLine {
  float values[16];
};
static_assert(simd::kGdnColumns % 16 == 0);

// A thread's memory for one block of columns.
struct Scratch {
  std::vector<float> fold_k, fold_u, fold_decay, u;
  std::vector<CacheLine> state;
};

// The ring entries that the state takes in, side by side.
void gather_fold(const Head& head, Scratch& scratch) {
  scratch.fold_k.clear();
  scratch.fold_u.clear();
  scratch.fold_decay.clear();
  const int64_t end = head.sequence.position;
  for (int64_t p = end - head.sequence.fold; p < end; ++p) {
    const float* k = head.ring_k(p);
    const float* u = head.ring_u(p);
    scratch.fold_k.insert(scratch.fold_k.end(), k, k + head.dim.k_dim);
    scratch.fold_u.insert(scratch.fold_u.end(), u, u + head.dim.v_dim);
    scratch.fold_decay.push_back(std::exp(*head.ring_g(p)));
  }
}

void update_columns(const Head& head, int64_t column, const PreparedRows& prepared,
                    Scratch& scratch) {
  const GdnUpdate& op = head.op;
  const Dimensions& dim = head.dim;
  const int64_t row = head.sequence.row_begin;
  const bool fresh = head.sequence.position == 0;
  if (!fresh) gather_fold(head, scratch);
  scratch.u.resize(static_cast<size_t>(head.sequence.rows * dim.v_dim));
  scratch.state.resize(static_cast<size_t>(dim.k_dim * simd::kGdnColumns / 16));
  const int64_t keys = row * dim.key_width() + head.k_head() * dim.k_dim;
  const int64_t gates = row * dim.v_heads + head.v_head;
  const int64_t values = head.v_head * dim.v_dim + column;
  simd::gdn_block({.state = head.state() + column,
                   .k_dim = dim.k_dim,
                   .v_dim = dim.v_dim,
                   .columns = std::min(simd::kGdnColumns, dim.v_dim - column),
                   .fresh = fresh,
                   .keep = head.sequence.provisional == 0,
                   .fold = fresh ? 0 : head.sequence.fold,
                   .fold_k = scratch.fold_k.data(),
                   .fold_u = scratch.fold_u.empty() ? nullptr : scratch.fold_u.data() + column,
                   .fold_decay = scratch.fold_decay.data(),
                   .rows = head.sequence.rows,
                   .q = prepared.q.data() + keys,
                   .k = prepared.k.data() + keys,
                   .qk_stride = dim.key_width(),
                   .v = op.qkv.row<const float>(row) + 2 * dim.key_width() + values,
                   .v_stride = op.qkv.stride(0),
                   .decay = prepared.decay.data() + gates,
                   .beta = prepared.beta.data() + gates,
                   .gate_stride = dim.v_heads,
                   .u = scratch.u.data() + column,
                   .out = op.out.row<float>(row) + values,
                   .out_stride = op.out.stride(0),
                   .scratch = scratch.state.front().values});
}

// Leaves what the rows did in the ring, so that the next step can take it in.
void store_columns(const Head& head, int64_t column, const Scratch& scratch) {
  const int64_t columns = std::min(simd::kGdnColumns, head.dim.v_dim - column);
  for (int64_t i = 0; i < head.sequence.rows; ++i) {
    const float* u = scratch.u.data() + i * head.dim.v_dim + column;
    std::copy(u, u + columns, head.ring_u(head.sequence.position + i) + column);
  }
}

void store_keys(const Head& head, const PreparedRows& prepared) {
  for (int64_t i = 0; i < head.sequence.rows; ++i) {
    const int64_t row = head.sequence.row_begin + i;
    const int64_t position = head.sequence.position + i;
    *head.ring_g(position) = prepared.g[static_cast<size_t>(row * head.dim.v_heads + head.v_head)];
    if (!head.owns_key()) continue;
    const float* k =
        prepared.k.data() + row * head.dim.key_width() + head.k_head() * head.dim.k_dim;
    std::copy(k, k + head.dim.k_dim, head.ring_k(position));
  }
}

void check_sequences(const GdnUpdate& op) {
  for (int64_t s = 0; s < op.batch.num_sequences(); ++s) {
    const SequenceRows& sequence = sequence_rows(op.batch, s);
    CHECK(sequence.state_slot >= 0 && sequence.state_slot < op.state.extent(0));
    if (sequence.provisional != 0) CHECK_LE(2 * sequence.rows, op.ring_k.extent(1));
  }
}

}  // namespace

// Columns are independent: (sequence, value head, block of columns) is dealt out to the threads.
// New ring entries never take the place of those that are folded in the same step.
void run_cpu(const GdnUpdate& op, ThreadPool& pool) {
  check_sequences(op);
  const Dimensions dim(op);
  PreparedRows prepared(dim, op.batch.rows());
  pool.parallel_for(op.batch.rows(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) prepare_row(op, dim, row, prepared);
  });
  const int64_t blocks = dim.column_blocks();
  pool.parallel_for(
      op.batch.num_sequences() * dim.v_heads * blocks, 2, [&](int64_t begin, int64_t end) {
        Scratch scratch;
        for (int64_t task = begin; task < end; ++task) {
          const SequenceRows& sequence = sequence_rows(op.batch, task / blocks / dim.v_heads);
          const Head head{op, sequence, dim, task / blocks % dim.v_heads};
          const int64_t column = task % blocks * simd::kGdnColumns;
          update_columns(head, column, prepared, scratch);
          if (sequence.provisional == 0) continue;
          store_columns(head, column, scratch);
          if (column == 0) store_keys(head, prepared);
        }
      });
}

}  // namespace gallop::ops
