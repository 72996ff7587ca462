#include "ops/cpu/cpu_math.h"
#include "ops/cpu/cpu_ops.h"

namespace gallop::ops {
namespace {

constexpr int64_t kRowsPerThread = 8;

void norm_row(float* out, const float* x, const float* weight, int64_t width, float offset,
              float eps) {
  simd::scale_weigh(x, inverse_rms(x, width, eps), weight, offset, out, width);
}

}  // namespace

void run_cpu(const RmsNorm& op, ThreadPool& pool) {
  const float* weight = op.weight.as<const float>();
  pool.parallel_for(op.x.extent(0), kRowsPerThread, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      norm_row(op.out.row<float>(row), op.x.row<const float>(row), weight, op.x.extent(1),
               op.weight_offset, op.eps);
    }
  });
}

void run_cpu(const AddRmsNorm& op, ThreadPool& pool) {
  const float* weight = op.weight.as<const float>();
  const int64_t width = op.residual.extent(1);
  pool.parallel_for(op.residual.extent(0), kRowsPerThread, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* residual = op.residual.row<float>(row);
      const float* delta = op.delta.row<const float>(row);
      for (int64_t i = 0; i < width; ++i) residual[i] += delta[i];
      norm_row(op.out.row<float>(row), residual, weight, width, op.weight_offset, op.eps);
    }
  });
}

void run_cpu(const GatedRmsNorm& op, ThreadPool& pool) {
  const float* weight = op.weight.as<const float>();
  const int64_t width = op.x.extent(2);
  pool.parallel_for(op.x.extent(0), kRowsPerThread, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t head = 0; head < op.x.extent(1); ++head) {
        const float* x = op.x.row<const float>(row) + head * op.x.stride(1);
        const float* gate = op.gate.row<const float>(row) + head * op.gate.stride(1);
        float* out = op.out.row<float>(row) + head * op.out.stride(1);
        const float scale = inverse_rms(x, width, op.eps);
        simd::scale_silu_mul(x, scale, weight, gate, out, width);
      }
    }
  });
}

}  // namespace gallop::ops
