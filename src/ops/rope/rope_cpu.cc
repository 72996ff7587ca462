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

void fill_rotation(Rotation& rotation, const std::vector<float>& frequencies, int32_t position) {
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const float angle = static_cast<float>(position) * frequencies[i];
    rotation.cosines[i] = std::cos(angle);
    rotation.sines[i] = std::sin(angle);
  }
}

void rotate(float* out, const Rotation& rotation) {
  const size_t half = rotation.cosines.size();
  for (size_t i = 0; i < half; ++i) {
    const float first = out[i];
    const float second = out[i + half];
    out[i] = first * rotation.cosines[i] - second * rotation.sines[i];
    out[i + half] = second * rotation.cosines[i] + first * rotation.sines[i];
  }
}

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
  pool.parallel_for(op.x.extent(0), 8, [&](int64_t begin, int64_t end) {
    Rotation rotation{std::vector<float>(frequencies.size()),
                      std::vector<float>(frequencies.size())};
    for (int64_t row = begin; row < end; ++row) {
      fill_rotation(rotation, frequencies, positions[row]);
      for (int64_t head = 0; head < op.x.extent(1); ++head) {
        const float* x = op.x.row<const float>(row) + head * op.x.stride(1);
        float* out = op.out.row<float>(row) + head * op.out.stride(1);
        const float scale = inverse_rms(x, dim, op.eps);
        for (int64_t i = 0; i < dim; ++i) out[i] = x[i] * scale * (op.weight_offset + weight[i]);
        rotate(out, rotation);
      }
    }
  });
}

}  // namespace gallop::ops
