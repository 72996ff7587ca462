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

// Calls body(i, lanes) for vectors that cover [0, n); `lanes` < kWidth only for the last.
template <class Body>
HWY_INLINE void for_each_vector(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) body(i, static_cast<int64_t>(kWidth));
  if (i < n) body(i, n - i);
}

HWY_INLINE V load_some(const float* from, int64_t lanes) {
  if (lanes == kWidth) return load(from);
  float padded[kWidth] = {};
  std::copy(from, from + lanes, padded);
  return load(padded);
}

HWY_INLINE void store_some(V vector, float* to, int64_t lanes) {
  if (lanes == kWidth) return hn::StoreU(vector, D(), to);
  float padded[kWidth];
  hn::StoreU(vector, D(), padded);
  std::copy(padded, padded + lanes, to);
}

// 1 + exp(-z)
HWY_INLINE V one_plus_exp_minus(V z) { return hn::Add(hn::Set(D(), 1.0f), exp_of(hn::Neg(z))); }

HWY_INLINE V silu_of(V z) { return hn::Div(z, one_plus_exp_minus(z)); }

void silu_mul(const float* gate, const float* up, float* out, int64_t n) {
  for_each_vector(n, [&](int64_t i, int64_t lanes) HWY_ATTR {
    store_some(hn::Mul(silu_of(load_some(gate + i, lanes)), load_some(up + i, lanes)), out + i,
               lanes);
  });
}

void sigmoid_mul(const float* gate, float* x, int64_t n) {
  for_each_vector(n, [&](int64_t i, int64_t lanes) HWY_ATTR {
    const V sigmoid = hn::Div(hn::Set(D(), 1.0f), one_plus_exp_minus(load_some(gate + i, lanes)));
    store_some(hn::Mul(load_some(x + i, lanes), sigmoid), x + i, lanes);
  });
}

void scale_silu_mul(const float* x, float scale, const float* weight, const float* gate, float* out,
                    int64_t n) {
  const V factor = hn::Set(D(), scale);
  for_each_vector(n, [&](int64_t i, int64_t lanes) HWY_ATTR {
    const V scaled =
        hn::Mul(hn::Mul(load_some(x + i, lanes), factor), load_some(weight + i, lanes));
    store_some(hn::Mul(scaled, silu_of(load_some(gate + i, lanes))), out + i, lanes);
  });
}

// The sums of kWidth channels.
HWY_INLINE V convolve(const float* const* inputs, int64_t taps, const float* weight, int64_t c) {
  if (taps == 4) {
    V w0, w1, w2, w3;
    hn::LoadInterleaved4(D(), weight + c * 4, w0, w1, w2, w3);
    V sum = hn::Add(hn::Mul(w0, load(inputs[0] + c)), hn::Zero(D()));
    sum = hn::Add(hn::Mul(w1, load(inputs[1] + c)), sum);
    sum = hn::Add(hn::Mul(w2, load(inputs[2] + c)), sum);
    return hn::Add(hn::Mul(w3, load(inputs[3] + c)), sum);
  }
  float sums[kWidth] = {};
  for (int64_t j = 0; j < taps; ++j) {
    for (int64_t l = 0; l < kWidth; ++l) sums[l] += weight[(c + l) * taps + j] * inputs[j][c + l];
  }
  return load(sums);
}

void convolve_silu(const float* const* inputs, int64_t taps, const float* weight, float* out,
                   int64_t channels) {
  int64_t c = 0;
  for (; c + kWidth <= channels; c += kWidth) {
    hn::StoreU(silu_of(convolve(inputs, taps, weight, c)), D(), out + c);
  }
  if (c == channels) return;
  float sums[kWidth] = {};
  for (int64_t l = 0; l < channels - c; ++l) {
    for (int64_t j = 0; j < taps; ++j) sums[l] += weight[(c + l) * taps + j] * inputs[j][c + l];
  }
  store_some(silu_of(load(sums)), out + c, channels - c);
}

bool has_fused_multiply_add() { return HWY_NATIVE_FMA != 0; }

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gallop::ops::simd {

HWY_EXPORT(dot);
HWY_EXPORT(silu_mul);
HWY_EXPORT(sigmoid_mul);
HWY_EXPORT(scale_silu_mul);
HWY_EXPORT(convolve_silu);
HWY_EXPORT(has_fused_multiply_add);

float dot(const float* a, const float* b, int64_t n) { return HWY_DYNAMIC_DISPATCH(dot)(a, b, n); }

void silu_mul(const float* gate, const float* up, float* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(silu_mul)(gate, up, out, n);
}

void sigmoid_mul(const float* gate, float* x, int64_t n) {
  HWY_DYNAMIC_DISPATCH(sigmoid_mul)(gate, x, n);
}

void scale_silu_mul(const float* x, float scale, const float* weight, const float* gate, float* out,
                    int64_t n) {
  HWY_DYNAMIC_DISPATCH(scale_silu_mul)(x, scale, weight, gate, out, n);
}

void convolve_silu(const float* const* inputs, int64_t taps, const float* weight, float* out,
                   int64_t channels) {
  HWY_DYNAMIC_DISPATCH(convolve_silu)(inputs, taps, weight, out, channels);
}

bool has_fused_multiply_add() { return HWY_DYNAMIC_DISPATCH(has_fused_multiply_add)(); }

const char* instruction_set() {
  // Of this machine's, those that were compiled above.
  const int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(supported & -supported);  // the lowest bit is the best target
}

}  // namespace gallop::ops::simd
#endif
