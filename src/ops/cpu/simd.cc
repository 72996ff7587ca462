#include "ops/cpu/simd.h"

#include <algorithm>
#include <limits>

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

// Four taps, all rows of kWidth channels.
HWY_INLINE void convolve_four(const Convolution& op, int64_t c) {
  V w0, w1, w2, w3;
  hn::LoadInterleaved4(D(), op.weight + c * 4, w0, w1, w2, w3);
  for (int64_t row = 0; row < op.rows; ++row) {
    const float* const* inputs = op.inputs + row;
    V sum = hn::Add(hn::Mul(w0, load(inputs[0] + c)), hn::Zero(D()));
    sum = hn::Add(hn::Mul(w1, load(inputs[1] + c)), sum);
    sum = hn::Add(hn::Mul(w2, load(inputs[2] + c)), sum);
    sum = hn::Add(hn::Mul(w3, load(inputs[3] + c)), sum);
    hn::StoreU(silu_of(sum), D(), op.out + row * op.out_stride + c);
  }
}

// Any number of taps, up to kWidth channels.
HWY_INLINE void convolve_some(const Convolution& op, int64_t c, int64_t lanes) {
  for (int64_t row = 0; row < op.rows; ++row) {
    float sums[kWidth] = {};
    for (int64_t j = 0; j < op.taps; ++j) {
      for (int64_t l = 0; l < lanes; ++l) {
        sums[l] += op.weight[(c + l) * op.taps + j] * op.inputs[row + j][c + l];
      }
    }
    store_some(silu_of(load(sums)), op.out + row * op.out_stride + c, lanes);
  }
}

void convolve_silu(const Convolution& op) {
  for_each_vector(op.channels, [&](int64_t c, int64_t lanes) HWY_ATTR {
    if (op.taps == 4 && lanes == kWidth) {
      convolve_four(op, c);
    } else {
      convolve_some(op, c, lanes);
    }
  });
}

void scale_weigh(const float* x, float scale, const float* weight, float offset, float* out,
                 int64_t n) {
  const V factor = hn::Set(D(), scale);
  const V more = hn::Set(D(), offset);
  for_each_vector(n, [&](int64_t i, int64_t lanes) HWY_ATTR {
    const V scaled = hn::Mul(load_some(x + i, lanes), factor);
    store_some(hn::Mul(scaled, hn::Add(more, load_some(weight + i, lanes))), out + i, lanes);
  });
}

void divide(const float* x, float divisor, float* out, int64_t n) {
  const V by = hn::Set(D(), divisor);
  for_each_vector(n, [&](int64_t i, int64_t lanes) HWY_ATTR {
    store_some(hn::Div(load_some(x + i, lanes), by), out + i, lanes);
  });
}

using Doubles = hn::CappedTag<double, kLanes / 2>;
using Angle = hn::Vec<Doubles>;

// sum of c[i] x^i by Horner's rule.
template <int COUNT>
HWY_INLINE Angle polynomial(Angle x, const double (&c)[COUNT]) {
  Angle sum = hn::Set(Doubles(), c[COUNT - 1]);
  for (int i = COUNT - 2; i >= 0; --i) sum = hn::MulAdd(sum, x, hn::Set(Doubles(), c[i]));
  return sum;
}

// In f64: the angle less the nearest multiple n of pi / 2 (in two parts, so that one rounding is
// left where multiply-adds are fused), then Taylor's series, whose first dropped terms are below
// 2^-45 at pi / 4. n mod 4 says which of the two is which, and their signs.
HWY_INLINE void turn(Angle angle, Angle& cosine, Angle& sine) {
  constexpr Doubles d;
  constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
  constexpr double kHalfPi = 0x1.921fb54442d18p+0;
  constexpr double kHalfPiRest = 0x1.1a62633145c07p-54;
  const Angle n = hn::Round(hn::Mul(angle, hn::Set(d, kTwoOverPi)));
  Angle x = hn::NegMulAdd(n, hn::Set(d, kHalfPi), angle);
  x = hn::NegMulAdd(n, hn::Set(d, kHalfPiRest), x);
  const Angle square = hn::Mul(x, x);
  const Angle sin_x =
      hn::Mul(x, polynomial(square, {1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880,
                                     -1.0 / 39916800, 1.0 / 6227020800}));
  const Angle cos_x = polynomial(
      square, {1.0, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600});
  const Angle quarter = hn::Sub(n, hn::Mul(hn::Floor(hn::Mul(n, hn::Set(d, 0.25))), hn::Set(d, 4)));
  const auto is = [&](double which) HWY_ATTR { return hn::Eq(quarter, hn::Set(d, which)); };
  const auto swapped = hn::Or(is(1), is(3));
  const Angle c = hn::IfThenElse(swapped, sin_x, cos_x);
  const Angle s = hn::IfThenElse(swapped, cos_x, sin_x);
  cosine = hn::IfThenElse(hn::Or(is(1), is(2)), hn::Neg(c), c);
  sine = hn::IfThenElse(hn::Or(is(2), is(3)), hn::Neg(s), s);
}

void cosines_and_sines(const float* frequencies, int32_t position, float* cosines, float* sines,
                       int64_t n) {
  constexpr int64_t kStep = static_cast<int64_t>(hn::MaxLanes(Doubles()));
  const hn::Rebind<float, Doubles> narrow;
  for (int64_t i = 0; i < n; i += kStep) {
    float angles[kStep] = {};
    const int64_t lanes = std::min(kStep, n - i);
    for (int64_t l = 0; l < lanes; ++l) {
      angles[l] = static_cast<float>(position) * frequencies[i + l];
    }
    Angle cosine, sine;
    turn(hn::PromoteTo(Doubles(), hn::LoadU(narrow, angles)), cosine, sine);
    float turned[2][kStep];
    hn::StoreU(hn::DemoteTo(narrow, cosine), narrow, turned[0]);
    hn::StoreU(hn::DemoteTo(narrow, sine), narrow, turned[1]);
    std::copy_n(turned[0], lanes, cosines + i);
    std::copy_n(turned[1], lanes, sines + i);
  }
}

void rotate(float* x, const float* cosines, const float* sines, int64_t half) {
  for_each_vector(half, [&](int64_t i, int64_t lanes) HWY_ATTR {
    const V first = load_some(x + i, lanes);
    const V second = load_some(x + half + i, lanes);
    const V cosine = load_some(cosines + i, lanes);
    const V sine = load_some(sines + i, lanes);
    store_some(hn::Sub(hn::Mul(first, cosine), hn::Mul(second, sine)), x + i, lanes);
    store_some(hn::Add(hn::Mul(second, cosine), hn::Mul(first, sine)), x + half + i, lanes);
  });
}

int64_t argmax(const float* x, int64_t n) {
  constexpr float kLeast = -std::numeric_limits<float>::infinity();
  V highest = hn::Set(D(), kLeast);
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const V next = load(x + i);
    highest = hn::IfThenElse(hn::Gt(next, highest), next, highest);
  }
  HWY_ALIGN float lanes[kWidth];
  hn::Store(highest, D(), lanes);
  float best = *std::max_element(lanes, lanes + kWidth);
  for (; i < n; ++i) best = x[i] > best ? x[i] : best;
  if (best == kLeast) return 0;
  const V wanted = hn::Set(D(), best);
  for (i = 0; i + kWidth <= n; i += kWidth) {
    if (!hn::AllFalse(D(), hn::Eq(load(x + i), wanted))) break;
  }
  return std::find(x + i, x + n, best) - x;
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
HWY_EXPORT(scale_weigh);
HWY_EXPORT(divide);
HWY_EXPORT(cosines_and_sines);
HWY_EXPORT(rotate);
HWY_EXPORT(argmax);
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

void convolve_silu(const Convolution& op) { HWY_DYNAMIC_DISPATCH(convolve_silu)(op); }

void scale_weigh(const float* x, float scale, const float* weight, float offset, float* out,
                 int64_t n) {
  HWY_DYNAMIC_DISPATCH(scale_weigh)(x, scale, weight, offset, out, n);
}

void divide(const float* x, float divisor, float* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(divide)(x, divisor, out, n);
}

void cosines_and_sines(const float* frequencies, int32_t position, float* cosines, float* sines,
                       int64_t n) {
  HWY_DYNAMIC_DISPATCH(cosines_and_sines)(frequencies, position, cosines, sines, n);
}

void rotate(float* x, const float* cosines, const float* sines, int64_t half) {
  HWY_DYNAMIC_DISPATCH(rotate)(x, cosines, sines, half);
}

int64_t argmax(const float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(argmax)(x, n); }

bool has_fused_multiply_add() { return HWY_DYNAMIC_DISPATCH(has_fused_multiply_add)(); }

const char* instruction_set() {
  // Of this machine's, those that were compiled above.
  const int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(supported & -supported);  // the lowest bit is the best target
}

}  // namespace gallop::ops::simd
#endif
