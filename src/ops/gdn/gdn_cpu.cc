#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "ops/cpu/cpu_math.h"
#include "ops/cpu/cpu_ops.h"

namespace gallop::ops {
namespace {

// One value head of one sequence: its place in every tensor of the op.
struct Head {
  const GdnUpdate& op;
  const SequenceRows& sequence;
  int64_t v_head;
  int64_t k_head;
  int64_t k_dim;
  int64_t v_dim;

  float* state() const { return op.state.row<float>(sequence.state_slot) + v_head * k_dim * v_dim; }
  int64_t ring_place(int64_t position) const { return position % op.ring_k.extent(1); }
  float* ring_k(int64_t position) const {
    return op.ring_k.row<float>(sequence.state_slot) +
           (ring_place(position) * op.ring_k.extent(2) + k_head) * k_dim;
  }
  float* ring_u(int64_t position) const {
    return op.ring_u.row<float>(sequence.state_slot) +
           (ring_place(position) * op.ring_u.extent(2) + v_head) * v_dim;
  }
  float* ring_g(int64_t position) const {
    return op.ring_g.row<float>(sequence.state_slot) + ring_place(position) * op.ring_g.extent(2) +
           v_head;
  }
  // Several value heads share a key head; the first of them keeps its key in the ring.
  bool owns_key() const { return v_head % (op.state.extent(1) / op.ring_k.extent(2)) == 0; }
};

// out = x * rsqrt(sum(x^2) + 1e-6) * scale.
void normalise(float* out, const float* x, int64_t dim, float scale) {
  const float inverse = 1.0f / std::sqrt(simd::dot(x, x, dim) + 1e-6f);
  for (int64_t i = 0; i < dim; ++i) out[i] = x[i] * inverse * scale;
}

// softplus(x) = log(1 + exp(x)); x itself beyond 20, as torch does.
float softplus(float x) { return x > 20.0f ? x : std::log1p(std::exp(x)); }

void fold_ring(const Head& head) {
  float* state = head.state();
  if (head.sequence.position == 0) {
    std::fill(state, state + head.k_dim * head.v_dim, 0.0f);
    return;
  }
  const int64_t end = head.sequence.position;
  for (int64_t position = end - head.sequence.fold; position < end; ++position) {
    simd::gdn_fold(state, head.ring_k(position), head.ring_u(position),
                   std::exp(*head.ring_g(position)), head.k_dim, head.v_dim);
  }
}

struct Scratch {
  std::vector<float> q, k, u, state;
};

void update_row(const Head& head, float* state, int64_t i, Scratch& scratch) {
  const GdnUpdate& op = head.op;
  const int64_t row = head.sequence.row_begin + i;
  const int64_t key_width = op.ring_k.extent(2) * head.k_dim;
  const float* qkv = op.qkv.row<const float>(row);
  normalise(scratch.q.data(), qkv + head.k_head * head.k_dim, head.k_dim,
            1.0f / std::sqrt(static_cast<float>(head.k_dim)));
  normalise(scratch.k.data(), qkv + key_width + head.k_head * head.k_dim, head.k_dim, 1.0f);
  const int64_t h = head.v_head;
  const float a = op.a.row<const float>(row)[h];
  const float b = op.b.row<const float>(row)[h];
  const float g =
      -std::exp(op.a_log.as<const float>()[h]) * softplus(a + op.dt_bias.as<const float>()[h]);
  simd::gdn_token(state, {.q = scratch.q.data(),
                          .k = scratch.k.data(),
                          .v = qkv + 2 * key_width + h * head.v_dim,
                          .decay = std::exp(g),
                          .beta = sigmoid(b),
                          .u = scratch.u.data(),
                          .out = op.out.row<float>(row) + h * head.v_dim,
                          .k_dim = head.k_dim,
                          .v_dim = head.v_dim});
  if (head.sequence.provisional == 0) return;
  const int64_t position = head.sequence.position + i;
  std::copy(scratch.u.begin(), scratch.u.end(), head.ring_u(position));
  *head.ring_g(position) = g;
  if (head.owns_key()) std::copy(scratch.k.begin(), scratch.k.end(), head.ring_k(position));
}

void update_head(const Head& head, Scratch& scratch) {
  scratch.q.resize(static_cast<size_t>(head.k_dim));
  scratch.k.resize(static_cast<size_t>(head.k_dim));
  scratch.u.resize(static_cast<size_t>(head.v_dim));
  fold_ring(head);
  float* state = head.state();
  if (head.sequence.provisional != 0) {
    scratch.state.assign(state, state + head.k_dim * head.v_dim);
    state = scratch.state.data();
  }
  for (int64_t i = 0; i < head.sequence.rows; ++i) update_row(head, state, i, scratch);
}

}  // namespace

void run_cpu(const GdnUpdate& op, ThreadPool& pool) {
  const int64_t v_heads = op.state.extent(1);
  const int64_t group = v_heads / op.ring_k.extent(2);
  pool.parallel_for(op.batch.num_sequences() * v_heads, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch;
    for (int64_t task = begin; task < end; ++task) {
      const SequenceRows& sequence = sequence_rows(op.batch, task / v_heads);
      CHECK(sequence.state_slot >= 0 && sequence.state_slot < op.state.extent(0));
      if (sequence.provisional != 0) CHECK_LE(2 * sequence.rows, op.ring_k.extent(1));
      const int64_t v_head = task % v_heads;
      update_head(Head{.op = op,
                       .sequence = sequence,
                       .v_head = v_head,
                       .k_head = v_head / group,
                       .k_dim = op.state.extent(2),
                       .v_dim = op.state.extent(3)},
                  scratch);
    }
  });
}

}  // namespace gallop::ops
