#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/simd.h"

namespace gallop::ops {

void run_cpu(const SiluMul& op, ThreadPool& pool) {
  const int64_t width = op.out.extent(1);
  pool.parallel_for(op.out.extent(0), 4, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* gate = op.gate_up.row<const float>(row);
      simd::silu_mul(gate, gate + width, op.out.row<float>(row), width);
    }
  });
}

void run_cpu(const SigmoidMul& op, ThreadPool& pool) {
  pool.parallel_for(op.x.extent(0), 4, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t head = 0; head < op.x.extent(1); ++head) {
        float* x = op.x.row<float>(row) + head * op.x.stride(1);
        const float* gate = op.gate.row<const float>(row) + head * op.gate.stride(1);
        simd::sigmoid_mul(gate, x, op.x.extent(2));
      }
    }
  });
}

}  // namespace gallop::ops
