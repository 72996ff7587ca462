#include <cmath>
#include <vector>

#include "ops/cpu/cpu_math.h"
#include "ops/cpu/cpu_ops.h"

namespace gallop::ops {
namespace {

// Cosines and sines of one row's angles, [rotary_dim / 2] each.
struct Rotation {
  std::vector<float> cosines;
  std::vector<float> sines;
};

std::vector<float> inverse_frequencies(const NormRope& op) {
  std::vector<float> frequencies(static_cast<size_t>(op.rotary_dim / 2));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / op.rotary_dim;
    frequencies[i] = static_cast<float>(std::pow(static_cast<double>(op.theta), -exponent));
  }
  return frequencies;
}

}  // namespace

void run_cpu(const NormRope& op, ThreadPool& pool) {
  const std::vector<float> frequencies = inverse_frequencies(op);
  const float* weight = op.weight.as<const float>();
  const int32_t* positions = op.positions.as<const int32_t>();
  const int64_t dim = op.x.extent(2);
  const int64_t half = op.rotary_dim / 2;
  pool.parallel_for(op.x.extent(0), 8, [&](int64_t begin, int64_t end) {
    Rotation rotation{std::vector<float>(frequencies.size()),
                      std::vector<float>(frequencies.size())};
    for (int64_t row = begin; row < end; ++row) {
      simd::cosines_and_sines(frequencies.data(), positions[row], rotation.cosines.data(),
                              rotation.sines.data(), half);
      for (int64_t head = 0; head < op.x.extent(1); ++head) {
        const float* x = op.x.row<const float>(row) + head * op.x.stride(1);
        float* out = op.out.row<float>(row) + head * op.out.stride(1);
        simd::scale_weigh(x, inverse_rms(x, dim, op.eps), weight, op.weight_offset, out, dim);
        simd::rotate(out, rotation.cosines.data(), rotation.sines.data(), half);
      }
    }
  });
}

}  // namespace gallop::ops
