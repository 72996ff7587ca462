// Formulas that several CPU ops share: one definition, one order of operations.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/cpu/simd.h"
#include "ops/ragged_batch.h"

namespace gallop::ops {

inline float sigmoid(float z) { return 1.0f / (1.0f + std::exp(-z)); }

// rsqrt(mean(x^2) + eps)
inline float inverse_rms(const float* x, int64_t width, float eps) {
  const float mean = simd::dot(x, x, width) / static_cast<float>(width);
  return 1.0f / std::sqrt(mean + eps);
}

inline const SequenceRows& sequence_rows(const RaggedBatch& batch, int64_t sequence) {
  return *reinterpret_cast<const SequenceRows*>(batch.sequences.row<const int32_t>(sequence));
}

}  // namespace gallop::ops
