#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/cpu/cpu_math.h"
#include "ops/cpu/cpu_ops.h"

namespace gallop::ops {
namespace {

// Inputs of one sequence by position: the ring before the step's rows, x from there on.
struct Inputs {
  const CausalConv1d& op;
  const SequenceRows& sequence;
  const float* zeros;

  const float* at(int64_t position) const {
    if (position < 0) return zeros;
    if (position >= sequence.position) {
      return op.x.row<const float>(sequence.row_begin + position - sequence.position);
    }
    const int64_t ring = op.ring.extent(1);
    return op.ring.row<const float>(sequence.state_slot) + position % ring * op.ring.extent(2);
  }
};

// Rows [begin, end) of the sequence.
void convolve_rows(const Inputs& inputs, int64_t begin, int64_t end) {
  const CausalConv1d& op = inputs.op;
  const int64_t before = op.weight.extent(1) - 1;
  std::vector<const float*> taps(static_cast<size_t>(before + end - begin));
  for (size_t j = 0; j < taps.size(); ++j) {
    taps[j] = inputs.at(inputs.sequence.position + begin - before + static_cast<int64_t>(j));
  }
  simd::convolve_silu({.inputs = taps.data(),
                       .rows = end - begin,
                       .taps = op.weight.extent(1),
                       .weight = op.weight.as<const float>(),
                       .out = op.out.row<float>(inputs.sequence.row_begin + begin),
                       .out_stride = op.out.stride(0),
                       .channels = op.x.extent(1)});
}

// The last inputs of the step, at most a ring full, go to their places.
void store_ring(const CausalConv1d& op, const SequenceRows& sequence) {
  const int64_t ring = op.ring.extent(1);
  const int64_t channels = op.ring.extent(2);
  for (int64_t i = std::max<int64_t>(0, sequence.rows - ring); i < sequence.rows; ++i) {
    float* place =
        op.ring.row<float>(sequence.state_slot) + (sequence.position + i) % ring * channels;
    std::memcpy(place, op.x.row<const float>(sequence.row_begin + i),
                static_cast<size_t>(channels) * sizeof(float));
  }
}

void check_slot(const CausalConv1d& op, const SequenceRows& sequence) {
  CHECK(sequence.state_slot >= 0 && sequence.state_slot < op.ring.extent(0));
  if (sequence.provisional == 0) return;
  CHECK_LE(op.weight.extent(1) - 1 + sequence.rows, op.ring.extent(1));
}

}  // namespace

void run_cpu(const CausalConv1d& op, ThreadPool& pool) {
  const std::vector<float> zeros(static_cast<size_t>(op.x.extent(1)), 0.0f);
  for (int64_t s = 0; s < op.batch.num_sequences(); ++s) {
    const SequenceRows& sequence = sequence_rows(op.batch, s);
    check_slot(op, sequence);
    const Inputs inputs{op, sequence, zeros.data()};
    pool.parallel_for(sequence.rows, 4,
                      [&](int64_t begin, int64_t end) { convolve_rows(inputs, begin, end); });
    store_ring(op, sequence);
  }
}

}  // namespace gallop::ops
