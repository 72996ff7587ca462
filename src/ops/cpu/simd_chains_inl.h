// The order in which linears add up, for the instruction set that is being compiled. Included once
// per instruction set, by files that go through hwy/foreach_target.h.
#if defined(GALLOP_OPS_CPU_SIMD_CHAINS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GALLOP_OPS_CPU_SIMD_CHAINS_INL_H_
#undef GALLOP_OPS_CPU_SIMD_CHAINS_INL_H_
#else
#define GALLOP_OPS_CPU_SIMD_CHAINS_INL_H_
#endif

#include <cstdint>

#include "ops/cpu/simd_lanes_inl.h"
#include "ops/cpu/simd_linear.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {

// A chain of a linear: eight lanes, one vector or several, into which the steps of sixteen inputs
// go, first the even inputs, then the odd ones. So the halves of packed words need no shuffle.
constexpr int64_t kStep = 2 * kChainLanes;
using C = hn::CappedTag<float, kChainLanes>;
constexpr int kChainWidth = static_cast<int>(hn::MaxLanes(C()));
constexpr int kChainVectors = kChainLanes / kChainWidth;

// The tree over a chain's lanes: l + (l + 4), then + 2, + 1.
HWY_INLINE float reduce_chain(const hn::Vec<C>* chain) {
  HWY_ALIGN float lanes[kChainLanes];
  for (int v = 0; v < kChainVectors; ++v) hn::Store(chain[v], C(), lanes + v * kChainWidth);
  for (int half = kChainLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

// One step of one output or one row, apart.
struct Step {
  HWY_INLINE Step() {}  // one that the compiler makes is not for the instruction set

  hn::Vec<C> even[kChainVectors];
  hn::Vec<C> odd[kChainVectors];
};

// Takes 2 * kChainWidth floats apart.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void take_apart(const float* from, hn::Vec<C>& even, hn::Vec<C>& odd) {
  even = hn::LoadU(C(), from);
  odd = hn::LoadU(C(), from + 1);
}
#else
HWY_INLINE void take_apart(const float* from, hn::Vec<C>& even, hn::Vec<C>& odd) {
  const auto low = hn::LoadU(C(), from);
  const auto high = hn::LoadU(C(), from + kChainWidth);
  even = hn::ConcatEven(C(), high, low);
  odd = hn::ConcatOdd(C(), high, low);
}
#endif

HWY_INLINE void load_step(const float* from, Step& step) {
  for (int v = 0; v < kChainVectors; ++v) {
    take_apart(from + 2 * v * kChainWidth, step.even[v], step.odd[v]);
  }
}

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
