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

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gallop::ops::simd {

HWY_EXPORT(scale_and_max);
HWY_EXPORT(exp_and_sum);

float scale_and_max(float* x, int64_t n, float scale, float least) {
  return HWY_DYNAMIC_DISPATCH(scale_and_max)(x, n, scale, least);
}

float exp_and_sum(float* x, int64_t n, float shift) {
  return HWY_DYNAMIC_DISPATCH(exp_and_sum)(x, n, shift);
}

}  // namespace gallop::ops::simd
#endif
