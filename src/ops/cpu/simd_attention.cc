#include "ops/cpu/simd_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/simd_attention.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/cpu/simd_lanes_inl.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {

float scale_and_max(float* x, int64_t n, float scale, float least) {
  const V factor = hn::Set(D(), scale);
  V highest = hn::Set(D(), least);
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const V scaled = hn::Mul(load(x + i), factor);
    hn::StoreU(scaled, D(), x + i);
    highest = hn::Max(scaled, highest);
  }
  HWY_ALIGN float lanes[kWidth];
  hn::Store(highest, D(), lanes);
  float best = *std::max_element(lanes, lanes + kWidth);
  for (; i < n; ++i) {
    x[i] *= scale;
    best = std::max(best, x[i]);
  }
  return best;
}

float exp_and_sum(float* x, int64_t n, float shift) {
  const V least = hn::Set(D(), shift);
  V sums[kVectors];
  for (int v = 0; v < kVectors; ++v) sums[v] = hn::Zero(D());
  const auto step = [&](float* at) HWY_ATTR {
    for (int v = 0; v < kVectors; ++v) {
      const V e = exp_of(hn::Sub(load(at + v * kWidth), least));
      hn::StoreU(e, D(), at + v * kWidth);
      sums[v] = hn::Add(sums[v], e);
    }
  };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) step(x + i);
  if (i < n) {  // behind the end: exp(-inf) = 0
    float tail[kLanes];
    std::fill(tail, tail + kLanes, -std::numeric_limits<float>::infinity());
    std::copy(x + i, x + n, tail);
    step(tail);
    std::copy(tail, tail + (n - i), x + i);
  }
  return reduce(sums);
}

// ROWS rows, VECTORS vectors of their dimensions from `first` on.
template <class Tag, int ROWS, int VECTORS>
HWY_INLINE void add_values(const WeightedValues& op, int64_t row, int64_t first) {
  using Vec = hn::Vec<Tag>;
  constexpr int kStep = static_cast<int>(hn::MaxLanes(Tag()));
  float* out = op.out + row * op.out_stride + first;
  const float* weights = op.weights + row * op.weights_stride;
  Vec sums[ROWS][VECTORS];
  for (int r = 0; r < ROWS; ++r) {
    const Vec fade = hn::Set(Tag(), op.fade[row + r]);
    for (int v = 0; v < VECTORS; ++v) {
      sums[r][v] = hn::Mul(hn::LoadU(Tag(), out + r * op.out_stride + v * kStep), fade);
    }
  }
  for (int64_t key = 0; key < op.keys; ++key) {
    Vec values[VECTORS];
    for (int v = 0; v < VECTORS; ++v) {
      values[v] = hn::LoadU(Tag(), op.values[key] + first + v * kStep);
    }
    for (int r = 0; r < ROWS; ++r) {
      const Vec weight = hn::Set(Tag(), weights[r * op.weights_stride + key]);
      for (int v = 0; v < VECTORS; ++v) sums[r][v] = hn::MulAdd(weight, values[v], sums[r][v]);
    }
  }
  for (int r = 0; r < ROWS; ++r) {
    for (int v = 0; v < VECTORS; ++v) {
      hn::StoreU(sums[r][v], Tag(), out + r * op.out_stride + v * kStep);
    }
  }
}

template <int ROWS, int VECTORS>
HWY_INLINE void add_values_of_rows(const WeightedValues& op, int64_t row) {
  int64_t first = 0;
  for (; first + VECTORS * kWidth <= op.dim; first += VECTORS * kWidth) {
    add_values<D, ROWS, VECTORS>(op, row, first);
  }
  for (; first + kWidth <= op.dim; first += kWidth) add_values<D, ROWS, 1>(op, row, first);
  for (; first < op.dim; ++first) {
    add_values<hn::CappedTag<float, 1>, ROWS, 1>(op, row, first);
  }
}

// As many rows as share a value while all sums stay in registers.
void add_weighted_values(const WeightedValues& op) {
  int64_t row = 0;
  for (; row + 6 <= op.rows; row += 6) add_values_of_rows<6, 2>(op, row);
  for (; row + 4 <= op.rows; row += 4) add_values_of_rows<4, 2>(op, row);
  for (; row + 2 <= op.rows; row += 2) add_values_of_rows<2, 4>(op, row);
  for (; row < op.rows; ++row) add_values_of_rows<1, 8>(op, row);
}

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gallop::ops::simd {

HWY_EXPORT(scale_and_max);
HWY_EXPORT(exp_and_sum);
HWY_EXPORT(add_weighted_values);

float scale_and_max(float* x, int64_t n, float scale, float least) {
  return HWY_DYNAMIC_DISPATCH(scale_and_max)(x, n, scale, least);
}

float exp_and_sum(float* x, int64_t n, float shift) {
  return HWY_DYNAMIC_DISPATCH(exp_and_sum)(x, n, shift);
}

void add_weighted_values(const WeightedValues& op) {
  HWY_DYNAMIC_DISPATCH(add_weighted_values)(op);
}

}  // namespace gallop::ops::simd
#endif
