// The lanes that inner loops of the CPU backend work on, for the instruction set that is being
// compiled: sixteen logical lanes, one vector or several (linears: simd_chains_inl.h). Included
// once per instruction set, by files that go through hwy/foreach_target.h.
#if defined(GALLOP_OPS_CPU_SIMD_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GALLOP_OPS_CPU_SIMD_LANES_INL_H_
#undef GALLOP_OPS_CPU_SIMD_LANES_INL_H_
#else
#define GALLOP_OPS_CPU_SIMD_LANES_INL_H_
#endif

#include <cstdint>

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int kLanes = 16;
using D = hn::CappedTag<float, kLanes>;
using V = hn::Vec<D>;
constexpr int kWidth = static_cast<int>(hn::MaxLanes(D()));
constexpr int kVectors = kLanes / kWidth;

HWY_INLINE V load(const float* from) { return hn::LoadU(D(), from); }

HWY_INLINE V load(const hwy::float16_t* from) {
  return hn::PromoteTo(D(), hn::LoadU(hn::Rebind<hwy::float16_t, D>(), from));
}

// bfloat16 is the upper half of a float.
HWY_INLINE V load(const uint16_t* from) {
  const hn::Rebind<uint32_t, D> wide;
  const hn::Rebind<uint16_t, D> narrow;
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(wide, hn::LoadU(narrow, from))));
}

// exp(x) within 1 ulp, also where it overflows; a NaN stays one.
HWY_INLINE V exp_of(V x) {
  constexpr float kRange = 104.0f;  // of hn::Exp, which gives infinity long before
  const V e = hn::Exp(D(), hn::Min(hn::Set(D(), kRange), x));
  return hn::IfThenElse(hn::IsNaN(x), x, e);
}

// The fixed tree over sixteen lanes: l + (l + 8), then + 4, + 2, + 1.
HWY_INLINE float reduce(const V* sums) {
  HWY_ALIGN float lanes[kLanes];
  for (int v = 0; v < kVectors; ++v) hn::Store(sums[v], D(), lanes + v * kWidth);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
