// Stored weights of a linear by lanes: each kind of matrix gives sixteen weights of one output as
// f32, for the instruction set that is being compiled. Widening is exact, but for one rounding
// where FP8 tiles have scales; scales of whole tensors and outputs are left to the caller. Included
// once per instruction set, by files that go through hwy/foreach_target.h.
#if defined(GALLOP_OPS_CPU_SIMD_WEIGHTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GALLOP_OPS_CPU_SIMD_WEIGHTS_INL_H_
#undef GALLOP_OPS_CPU_SIMD_WEIGHTS_INL_H_
#else
#define GALLOP_OPS_CPU_SIMD_WEIGHTS_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include <hwy/cache_control.h>

#include "codec/e4m3.h"
#include "codec/nvfp4.h"
#include "ops/cpu/simd_chains_inl.h"
#include "ops/linear/linear_weight.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {

// Two halves of 16 bits in each lane, the even input in the lower one; or two bytes.
using Words = hn::RebindToUnsigned<C>;
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE hn::Vec<Words> load_words(const void* from) {
  uint32_t word = 0;
  std::memcpy(&word, from, sizeof(word));
  return hn::Set(Words(), word);
}
HWY_INLINE hn::Vec<Words> load_pairs(const uint8_t* from) {
  uint16_t pair = 0;
  std::memcpy(&pair, from, sizeof(pair));
  return hn::Set(Words(), uint32_t{pair});
}
#else
HWY_INLINE hn::Vec<Words> load_words(const void* from) {
  const hn::Repartition<uint8_t, C> bytes;
  return hn::BitCast(Words(), hn::LoadU(bytes, static_cast<const uint8_t*>(from)));
}
HWY_INLINE hn::Vec<Words> load_pairs(const uint8_t* from) {
  const hn::Rebind<uint16_t, C> pairs;
  const hn::Repartition<uint8_t, decltype(pairs)> bytes;
  return hn::PromoteTo(Words(), hn::BitCast(pairs, hn::LoadU(bytes, from)));
}
#endif

// bfloat16 is the upper half of a float.
HWY_INLINE void load_step(const uint16_t* from, Step& step) {
  for (int v = 0; v < kChainVectors; ++v) {
    const auto words = load_words(from + 2 * v * kChainWidth);
    step.even[v] = hn::BitCast(C(), hn::ShiftLeft<16>(words));
    step.odd[v] = hn::BitCast(C(), hn::And(words, hn::Set(Words(), 0xffff0000u)));
  }
}

// A half float in the lower half of each lane.
HWY_INLINE hn::Vec<C> widen_halves(hn::Vec<Words> words) {
  const hn::Rebind<uint16_t, C> narrow;
  const hn::Rebind<hwy::float16_t, C> half;
  return hn::PromoteTo(C(), hn::BitCast(half, hn::TruncateTo(narrow, words)));
}

HWY_INLINE void load_step(const hwy::float16_t* from, Step& step) {
  for (int v = 0; v < kChainVectors; ++v) {
    const auto words = load_words(from + 2 * v * kChainWidth);
    step.even[v] = widen_halves(hn::And(words, hn::Set(Words(), 0xffffu)));
    step.odd[v] = widen_halves(hn::ShiftRight<16>(words));
  }
}

constexpr int64_t kCacheLine = 64;

// Where the one-row loop is: at a cache line that begins at byte `at` of each of `columns` columns,
// `stride` bytes apart, of which it reads `size` bytes each.
struct ColumnsRead {
  const void* first;
  int columns;
  int64_t at;
  int64_t size;
  int64_t stride;

  // Asks for a line that the loop will need, at each line of column c. While it reads short
  // columns, the next ones are asked for in the order of memory, which the core's own prefetchers
  // then follow; long ones are asked for so far ahead that memory answers in time. (One core, bf16:
  // 32 against 21 GB/s at k = 5120 on a Zen 5, 14 against 11 at k = 256 on a Zen 3.)
  HWY_INLINE void prefetch(int c) const {
    constexpr int64_t kShort = 16384;
    constexpr int64_t kAhead = 4096;  // of all columns together
    const auto* bytes = static_cast<const uint8_t*>(first);
    if (size <= kShort) {
      hwy::Prefetch(bytes + columns * stride + at * columns + c * kCacheLine);
    } else {
      const int64_t later = at + kAhead / columns;
      hwy::Prefetch(bytes + c * stride + (later < size ? later : columns * stride + later - size));
    }
  }
};

// Floats [columns, k], rows `stride` apart.
template <class W>
struct FloatMatrix {
  static constexpr int64_t kLineSteps = kCacheLine / (kStep * sizeof(W));

  const W* data;
  int64_t stride;
  int64_t k;

  // Where a column's weights begin.
  HWY_INLINE const W* column_begin(int64_t column) const { return data + column * stride; }
  // One column's weights of a step.
  HWY_INLINE void load(int64_t column, int64_t step, Step& out) const {
    load_step(column_begin(column) + step * kStep, out);
  }
  // The columns [first, first + columns) from `step` on.
  HWY_INLINE ColumnsRead read(int64_t first, int columns, int64_t step) const {
    constexpr int64_t kBytes = sizeof(W);
    return {column_begin(first), columns, step * kStep * kBytes, k * kBytes, stride * kBytes};
  }
  // The last step where k is no multiple of 16; zeros behind its inputs.
  HWY_INLINE void load_tail(int64_t column, int64_t step, Step& out) const {
    W padded[kStep] = {};
    const W* row = column_begin(column);
    std::copy(row + step * kStep, row + k, padded);
    load_step(padded, out);
  }
};

// Twice the values of E2M1.
alignas(16) constexpr int8_t kTwiceE2m1[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                               0, -1, -2, -3, -4, -6, -8, -12};

// What twice the values, as integers in the top bytes of lanes, are multiplied with, by scale byte.
constexpr auto kScalesOfTopBytes = [] {
  std::array<float, 256> scales = codec::kE4m3Values;
  for (float& scale : scales) scale *= 0x1p-25f;
  return scales;
}();

#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void unpack_nvfp4(const uint8_t* codes, uint8_t scale_byte, Step& out) {
  const float scale = codec::kE4m3Values[scale_byte];
  for (int v = 0; v < kChainVectors; ++v) {
    out.even[v] = hn::Set(C(), codec::kE2m1Values[static_cast<size_t>(codes[v] & 15)] * scale);
    out.odd[v] = hn::Set(C(), codec::kE2m1Values[static_cast<size_t>(codes[v] >> 4)] * scale);
  }
}
#elif HWY_MAX_BYTES >= 64
// The sixteen values of one NVFP4 block: e2m1 times its scale, which is exact. Each byte gets a
// lane, whose lowest four bits choose from a table of sixteen floats; the others do not count.
HWY_INLINE void unpack_nvfp4(const uint8_t* codes, uint8_t scale_byte, Step& out) {
  const auto low = hn::LoadU(C(), codec::kE2m1Values.data());
  const auto high = hn::LoadU(C(), codec::kE2m1Values.data() + kChainLanes);
  const auto scale = hn::Set(C(), codec::kE4m3Values[scale_byte]);
  const auto values = [&](hn::Vec<Words> index) HWY_ATTR {
    const hn::Vec<C> value{_mm256_permutex2var_ps(low.raw, index.raw, high.raw)};
    return hn::Mul(value, scale);
  };
  const auto bytes = hn::PromoteTo(Words(), hn::LoadU(hn::Rebind<uint8_t, C>(), codes));
  out.even[0] = values(bytes);
  out.odd[0] = values(hn::ShiftRight<4>(bytes));
}
#else
// For each lane the place of its byte of codes: the top byte of the lane, and nothing else.
alignas(32) constexpr uint8_t kTopBytes[32] = {
    0x80, 0x80, 0x80, 0, 0x80, 0x80, 0x80, 1, 0x80, 0x80, 0x80, 2, 0x80, 0x80, 0x80, 3,
    0x80, 0x80, 0x80, 4, 0x80, 0x80, 0x80, 5, 0x80, 0x80, 0x80, 6, 0x80, 0x80, 0x80, 7};

// The sixteen values of one NVFP4 block: e2m1 times its scale, which is exact. Each byte gets a
// lane, and each code the top of it, where a table of bytes makes it an integer of the right sign;
// the lower bytes are code 0, which is 0.
HWY_INLINE void unpack_nvfp4(const uint8_t* codes, uint8_t scale_byte, Step& out) {
  const hn::Repartition<uint8_t, C> d8;
  const auto table = hn::LoadDup128(d8, reinterpret_cast<const uint8_t*>(kTwiceE2m1));
  const auto scale = hn::Set(C(), kScalesOfTopBytes[scale_byte]);
  const auto values = [&](hn::Vec<Words> index) HWY_ATTR {
    const auto code = hn::And(index, hn::Set(Words(), 0x0f000000u));
    const auto twice = hn::TableLookupBytes(table, hn::BitCast(d8, code));
    return hn::Mul(hn::ConvertTo(C(), hn::BitCast(hn::RebindToSigned<C>(), twice)), scale);
  };
  uint64_t word = 0;
  std::memcpy(&word, codes, sizeof(word));
  const auto bytes = hn::BitCast(d8, hn::Set(hn::Repartition<uint64_t, C>(), word));
  for (int v = 0; v < kChainVectors; ++v) {
    const auto places = hn::LoadU(d8, kTopBytes + 4 * v * kChainWidth);
    const auto placed = hn::BitCast(Words(), hn::TableLookupBytesOr0(bytes, places));
    out.even[v] = values(placed);
    out.odd[v] = values(hn::ShiftRight<4>(placed));
  }
}
#endif

// NVFP4 without the global scale: codes [columns, k / 2] and block scales [columns, k / 16].
struct Nvfp4Matrix {
  const uint8_t* codes;
  const uint8_t* scales;
  int64_t k;

  static constexpr int64_t kLineSteps = 2 * kCacheLine / kStep;

  HWY_INLINE const uint8_t* column_begin(int64_t column) const { return codes + column * (k / 2); }
  HWY_INLINE void load(int64_t column, int64_t step, Step& out) const {
    unpack_nvfp4(column_begin(column) + step * (kStep / 2), scales[column * (k / kStep) + step],
                 out);
  }
  HWY_INLINE ColumnsRead read(int64_t first, int columns, int64_t step) const {
    return {column_begin(first), columns, step * (kStep / 2), k / 2, k / 2};
  }
  // There is none: k is a multiple of 16.
  HWY_INLINE void load_tail(int64_t column, int64_t step, Step& out) const {
    load(column, step, out);
  }
};
static_assert(kStep == codec::kNvfp4Block);

// E4M3 [columns, k]; each tile of 128 x 128 has a scale where TILED.
template <bool TILED>
struct Fp8Matrix {
  static constexpr int64_t kLineSteps = kCacheLine / kStep;

  const uint8_t* data;
  int64_t k;
  const float* scales;   // [columns / 128, tiles] of the whole matrix
  int64_t tiles;         // in a row of tiles
  int64_t first_column;  // of `data`, in the whole matrix

  // A byte in each lane. As a half float its bits are the value times 2^-8, subnormals included.
  static HWY_INLINE hn::Vec<C> value(hn::Vec<Words> byte, hn::Vec<C> scale) {
    const auto magnitude = hn::And(byte, hn::Set(Words(), 0x7fu));
    const auto sign = hn::And(byte, hn::Set(Words(), 0x80u));
    const auto half = hn::Or(hn::ShiftLeft<7>(magnitude), hn::ShiftLeft<8>(sign));
    const auto nan = hn::Eq(magnitude, hn::Set(Words(), 0x7fu));
    return hn::Mul(widen_halves(hn::IfThenZeroElse(nan, half)), scale);
  }
  HWY_INLINE void widen(const uint8_t* from, int64_t column, int64_t step, Step& out) const {
    constexpr int64_t kTile = Fp8Weight::kTile;
    float scale = 256;
    if constexpr (TILED) {
      scale *= scales[(first_column + column) / kTile * tiles + step / (kTile / kStep)];
    }
    for (int v = 0; v < kChainVectors; ++v) {
      const auto both = load_pairs(from + 2 * v * kChainWidth);
      out.even[v] = value(hn::And(both, hn::Set(Words(), 0xffu)), hn::Set(C(), scale));
      out.odd[v] = value(hn::ShiftRight<8>(both), hn::Set(C(), scale));
    }
  }
  HWY_INLINE const uint8_t* column_begin(int64_t column) const { return data + column * k; }
  HWY_INLINE void load(int64_t column, int64_t step, Step& out) const {
    widen(column_begin(column) + step * kStep, column, step, out);
  }
  HWY_INLINE ColumnsRead read(int64_t first, int columns, int64_t step) const {
    return {column_begin(first), columns, step * kStep, k, k};
  }
  HWY_INLINE void load_tail(int64_t column, int64_t step, Step& out) const {
    uint8_t padded[kStep] = {};
    std::copy(column_begin(column) + step * kStep, column_begin(column + 1), padded);
    widen(padded, column, step, out);
  }
};

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
