#include "ops/cpu/simd.h"

#include <algorithm>

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/simd.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/cpu/simd_lanes_inl.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {

float dot(const float* a, const float* b, int64_t n) {
  V sums[kVectors];
  for (int v = 0; v < kVectors; ++v) sums[v] = hn::Zero(D());
  const auto step = [&](const float* a_at, const float* b_at) HWY_ATTR {
    for (int v = 0; v < kVectors; ++v) {
      sums[v] = hn::MulAdd(load(a_at + v * kWidth), load(b_at + v * kWidth), sums[v]);
    }
  };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) step(a + i, b + i);
  if (i < n) {  // the last lanes are zero: they add nothing
    float a_tail[kLanes] = {};
    float b_tail[kLanes] = {};
    std::copy(a + i, a + n, a_tail);
    std::copy(b + i, b + n, b_tail);
    step(a_tail, b_tail);
  }
  return reduce(sums);
}

void axpy(float a, const float* x, float* y, int64_t n) {
  const V factor = hn::Set(D(), a);
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    hn::StoreU(hn::MulAdd(factor, load(x + i), load(y + i)), D(), y + i);
  }
  if (i < n) {
    float x_tail[kWidth] = {};
    float y_tail[kWidth] = {};
    for (int64_t j = i; j < n; ++j) x_tail[j - i] = x[j];
    for (int64_t j = i; j < n; ++j) y_tail[j - i] = y[j];
    hn::StoreU(hn::MulAdd(factor, load(x_tail), load(y_tail)), D(), y_tail);
    for (int64_t j = i; j < n; ++j) y[j] = y_tail[j - i];
  }
}

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gallop::ops::simd {

HWY_EXPORT(dot);
HWY_EXPORT(axpy);

float dot(const float* a, const float* b, int64_t n) { return HWY_DYNAMIC_DISPATCH(dot)(a, b, n); }

void axpy(float a, const float* x, float* y, int64_t n) { HWY_DYNAMIC_DISPATCH(axpy)(a, x, y, n); }

const char* instruction_set() {
  // Of this machine's, those that were compiled above.
  const int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(supported & -supported);  // the lowest bit is the best target
}

}  // namespace gallop::ops::simd
#endif
