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

// Columns [j, j + VECTORS * kWidth) of the state; `tag` may be a narrower vector for the tail.
template <int VECTORS, class Tag>
HWY_INLINE void gdn_columns(Tag tag, float* state, const GdnToken& token, int64_t j) {
  using Vec = hn::Vec<Tag>;
  constexpr int kStep = static_cast<int>(hn::MaxLanes(Tag()));
  const Vec decay = hn::Set(tag, token.decay);
  Vec sums[VECTORS];
  for (int v = 0; v < VECTORS; ++v) sums[v] = hn::Zero(tag);
  for (int64_t i = 0; i < token.k_dim; ++i) {
    float* row = state + i * token.v_dim + j;
    const Vec k = hn::Set(tag, token.k[i]);
    for (int v = 0; v < VECTORS; ++v) {
      const Vec faded = hn::Mul(hn::LoadU(tag, row + v * kStep), decay);
      hn::StoreU(faded, tag, row + v * kStep);
      sums[v] = hn::MulAdd(faded, k, sums[v]);
    }
  }
  Vec u[VECTORS];
  for (int v = 0; v < VECTORS; ++v) {
    const Vec value = hn::LoadU(tag, token.v + j + v * kStep);
    u[v] = hn::Mul(hn::Set(tag, token.beta), hn::Sub(value, sums[v]));
    hn::StoreU(u[v], tag, token.u + j + v * kStep);
    sums[v] = hn::Zero(tag);
  }
  for (int64_t i = 0; i < token.k_dim; ++i) {
    float* row = state + i * token.v_dim + j;
    const Vec k = hn::Set(tag, token.k[i]);
    const Vec q = hn::Set(tag, token.q[i]);
    for (int v = 0; v < VECTORS; ++v) {
      const Vec updated = hn::MulAdd(k, u[v], hn::LoadU(tag, row + v * kStep));
      hn::StoreU(updated, tag, row + v * kStep);
      sums[v] = hn::MulAdd(updated, q, sums[v]);
    }
  }
  for (int v = 0; v < VECTORS; ++v) hn::StoreU(sums[v], tag, token.out + j + v * kStep);
}

void gdn_token(float* state, const GdnToken& token) {
  constexpr int kBlock = 4;
  int64_t j = 0;
  for (; j + kBlock * kWidth <= token.v_dim; j += kBlock * kWidth) {
    gdn_columns<kBlock>(D(), state, token, j);
  }
  for (; j + kWidth <= token.v_dim; j += kWidth) gdn_columns<1>(D(), state, token, j);
  for (; j < token.v_dim; ++j) gdn_columns<1>(hn::CappedTag<float, 1>(), state, token, j);
}

template <class Tag>
HWY_INLINE void fold_columns(Tag tag, float* row, float k, const float* u, float decay) {
  const auto faded = hn::Mul(hn::LoadU(tag, row), hn::Set(tag, decay));
  hn::StoreU(hn::MulAdd(hn::Set(tag, k), hn::LoadU(tag, u), faded), tag, row);
}

void gdn_fold(float* state, const float* k, const float* u, float decay, int64_t k_dim,
              int64_t v_dim) {
  for (int64_t i = 0; i < k_dim; ++i) {
    float* row = state + i * v_dim;
    int64_t j = 0;
    for (; j + kWidth <= v_dim; j += kWidth) fold_columns(D(), row + j, k[i], u + j, decay);
    for (; j < v_dim; ++j) {
      fold_columns(hn::CappedTag<float, 1>(), row + j, k[i], u + j, decay);
    }
  }
}

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gallop::ops::simd {

HWY_EXPORT(dot);
HWY_EXPORT(axpy);
HWY_EXPORT(gdn_token);
HWY_EXPORT(gdn_fold);

float dot(const float* a, const float* b, int64_t n) { return HWY_DYNAMIC_DISPATCH(dot)(a, b, n); }

void axpy(float a, const float* x, float* y, int64_t n) { HWY_DYNAMIC_DISPATCH(axpy)(a, x, y, n); }

void gdn_token(float* state, const GdnToken& token) {
  HWY_DYNAMIC_DISPATCH(gdn_token)(state, token);
}

void gdn_fold(float* state, const float* k, const float* u, float decay, int64_t k_dim,
              int64_t v_dim) {
  HWY_DYNAMIC_DISPATCH(gdn_fold)(state, k, u, decay, k_dim, v_dim);
}

const char* instruction_set() {
  // Of this machine's, those that were compiled above.
  const int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(supported & -supported);  // the lowest bit is the best target
}

}  // namespace gallop::ops::simd
#endif
