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
#include "ops/cpu/simd_lanes_inl.h"
#include "ops/linear/linear_weight.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {

// Bytes ahead of its loads that the one-row loop asks for: 16 cache lines, about as many as a core
// has under way at once.
constexpr int64_t kPrefetchBytes = 1024;

HWY_INLINE void prefetch_after(const void* from) {
  hwy::Prefetch(static_cast<const uint8_t*>(from) + kPrefetchBytes);
}

// Floats [columns, k], rows `stride` apart.
template <class W>
struct FloatMatrix {
  static constexpr bool kTakesApart = false;

  const W* data;
  int64_t stride;
  int64_t k;

  // One column's weights of inputs [i, i + 16).
  HWY_INLINE void lanes(int64_t column, int64_t i, V* out) const {
    for (int v = 0; v < kVectors; ++v) out[v] = load(data + column * stride + i + v * kWidth);
  }
  HWY_INLINE void prefetch(int64_t column, int64_t i) const {
    prefetch_after(data + column * stride + i);
  }
  // Where a column's weights begin.
  HWY_INLINE const void* column_begin(int64_t column) const { return data + column * stride; }
  // The inputs from i to the end, fewer than 16; zeros behind them.
  HWY_INLINE void tail(int64_t column, int64_t i, V* out) const {
    W padded[kLanes] = {};
    const W* row = data + column * stride;
    std::copy(row + i, row + k, padded);
    for (int v = 0; v < kVectors; ++v) out[v] = load(padded + v * kWidth);
  }
};

// Twice the values of E2M1.
alignas(16) constexpr int8_t kTwiceE2m1[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                               0, -1, -2, -3, -4, -6, -8, -12};

// What the integers of unpack_by_top_bytes are multiplied with, by scale byte: they are twice the
// values, times 2^24.
constexpr auto kScalesOfTopBytes = [] {
  std::array<float, 256> scales = codec::kE4m3Values;
  for (float& scale : scales) scale *= 0x1p-25f;
  return scales;
}();

// For each lane of f32 the places of its packed byte: the top byte of the lane, and nothing else.
constexpr auto kTopBytes = [] {
  std::array<std::array<uint8_t, 32>, 2> places = {};
  for (size_t i = 0; i < 64; ++i) {
    places[i / 32][i % 32] = i % 4 == 3 ? static_cast<uint8_t>(i / 8) : 0x80;
  }
  return places;
}();

// Sixteen lanes: a register is a table of the sixteen values.
template <int WIDTH>
HWY_INLINE void unpack_by_lanes(const uint8_t* codes, uint8_t scale_byte, V* out) {
  alignas(64) static constexpr uint32_t kShifts[16] = {0, 4, 8, 12, 16, 20, 24, 28,
                                                       0, 4, 8, 12, 16, 20, 24, 28};
  const hn::FixedTag<uint32_t, WIDTH> d32;
  uint32_t words[2];
  std::memcpy(words, codes, sizeof(words));
  const V scale = hn::Set(D(), codec::kE4m3Values[scale_byte]);
  const V table = hn::Mul(scale, hn::LoadU(D(), codec::kE2m1Values.data()));
  const auto both =
      hn::IfThenElse(hn::FirstN(d32, 8), hn::Set(d32, words[0]), hn::Set(d32, words[1]));
  const auto index = hn::And(hn::Shr(both, hn::Load(d32, kShifts)), hn::Set(d32, 15u));
  out[0] = hn::TableLookupLanes(table, hn::IndicesFromVec(D(), index));
}

// Eight lanes: each code goes to the top byte of a lane of its own, where a table of bytes makes it
// an integer of the right sign.
template <int WIDTH>
HWY_INLINE void unpack_by_top_bytes(const uint8_t* codes, uint8_t scale_byte, V* out) {
  alignas(32) static constexpr uint32_t kShifts[8] = {0, 4, 0, 4, 0, 4, 0, 4};
  const hn::FixedTag<uint8_t, 4 * WIDTH> d8;
  const hn::FixedTag<uint32_t, WIDTH> d32;
  uint64_t word = 0;
  std::memcpy(&word, codes, sizeof(word));
  const auto bytes = hn::BitCast(d8, hn::Set(hn::FixedTag<uint64_t, WIDTH / 2>(), word));
  const auto table = hn::LoadDup128(d8, reinterpret_cast<const uint8_t*>(kTwiceE2m1));
  const V scale = hn::Set(D(), kScalesOfTopBytes[scale_byte]);
  for (int v = 0; v < kVectors; ++v) {
    const auto placed = hn::TableLookupBytesOr0(bytes, hn::LoadU(d8, kTopBytes[v].data()));
    const auto nibbles = hn::Shr(hn::BitCast(d32, placed), hn::Load(d32, kShifts));
    const auto index = hn::BitCast(d8, hn::And(nibbles, hn::Set(d32, 0x0f000000u)));
    const auto twice = hn::TableLookupBytes(table, index);
    out[v] = hn::Mul(hn::ConvertTo(D(), hn::BitCast(hn::FixedTag<int32_t, WIDTH>(), twice)), scale);
  }
}

// The same with the even inputs' values in out[0] and the odd ones' in out[1]: codes share the way
// to their lanes, as they share bytes.
template <int WIDTH>
HWY_INLINE void unpack_even_and_odd(const uint8_t* codes, uint8_t scale_byte, V* out) {
  alignas(32) static constexpr uint8_t kPlaces[32] = {
      0x80, 0x80, 0x80, 0, 0x80, 0x80, 0x80, 1, 0x80, 0x80, 0x80, 2, 0x80, 0x80, 0x80, 3,
      0x80, 0x80, 0x80, 4, 0x80, 0x80, 0x80, 5, 0x80, 0x80, 0x80, 6, 0x80, 0x80, 0x80, 7};
  const hn::FixedTag<uint8_t, 4 * WIDTH> d8;
  const hn::FixedTag<uint32_t, WIDTH> d32;
  const hn::FixedTag<int32_t, WIDTH> i32;
  uint64_t word = 0;
  std::memcpy(&word, codes, sizeof(word));
  const auto bytes = hn::BitCast(d8, hn::Set(hn::FixedTag<uint64_t, WIDTH / 2>(), word));
  const auto table = hn::LoadDup128(d8, reinterpret_cast<const uint8_t*>(kTwiceE2m1));
  const auto placed = hn::BitCast(d32, hn::TableLookupBytesOr0(bytes, hn::Load(d8, kPlaces)));
  // A table index is the low half of a byte. The bytes below the top one have zero there.
  const auto even = hn::And(placed, hn::Set(d32, 0x0f000000u));
  const auto odd = hn::And(hn::ShiftRight<4>(placed), hn::Set(d32, 0x0f000000u));
  const V scale = hn::Set(D(), kScalesOfTopBytes[scale_byte]);
  const auto values = [&](auto index) HWY_ATTR {
    const auto twice = hn::TableLookupBytes(table, hn::BitCast(d8, index));
    return hn::Mul(hn::ConvertTo(D(), hn::BitCast(i32, twice)), scale);
  };
  out[0] = values(even);
  out[1] = values(odd);
}

// Four lanes: a table of bytes, and a store between bytes and lanes.
template <int WIDTH>
HWY_INLINE void unpack_by_bytes(const uint8_t* codes, uint8_t scale_byte, V* out) {
  const hn::FixedTag<uint16_t, 2 * WIDTH> d16;
  const hn::FixedTag<int8_t, 4 * WIDTH> d8;
  const auto pairs = hn::PromoteTo(d16, hn::LoadU(hn::FixedTag<uint8_t, 2 * WIDTH>(), codes));
  const auto index =
      hn::And(hn::Or(pairs, hn::ShiftLeft<4>(pairs)), hn::Set(d16, uint16_t{0x0f0f}));
  alignas(16) int8_t twice[16];
  hn::Store(hn::TableLookupBytes(hn::Load(d8, kTwiceE2m1), hn::BitCast(d8, index)), d8, twice);
  const V scale = hn::Set(D(), 0.5f * codec::kE4m3Values[scale_byte]);
  for (int v = 0; v < kVectors; ++v) {
    const auto wide = hn::PromoteTo(hn::Rebind<int32_t, D>(),
                                    hn::LoadU(hn::Rebind<int8_t, D>(), twice + v * kWidth));
    out[v] = hn::Mul(hn::ConvertTo(D(), wide), scale);
  }
}

// The sixteen values of one NVFP4 block: e2m1 times its scale, which is exact.
template <int WIDTH>
HWY_INLINE void unpack_nvfp4(const uint8_t* codes, uint8_t scale_byte, V* out) {
  if constexpr (WIDTH == 16) {
    unpack_by_lanes<WIDTH>(codes, scale_byte, out);
  } else if constexpr (WIDTH == 8) {
    unpack_by_top_bytes<WIDTH>(codes, scale_byte, out);
  } else if constexpr (WIDTH == 4) {
    unpack_by_bytes<WIDTH>(codes, scale_byte, out);
  } else {
    for (int l = 0; l < kLanes; ++l) {
      const int code = (codes[l / 2] >> (l % 2 == 0 ? 0 : 4)) & 15;
      out[l] = hn::Set(
          D(), codec::kE2m1Values[static_cast<size_t>(code)] * codec::kE4m3Values[scale_byte]);
    }
  }
}

// NVFP4 without the global scale: codes [columns, k / 2] and block scales [columns, k / 16].
struct Nvfp4Matrix {
  // Whether one row takes even and odd inputs apart, by lanes_apart().
  static constexpr bool kTakesApart = kWidth == 8;

  const uint8_t* codes;
  const uint8_t* scales;
  int64_t k;

  HWY_INLINE void lanes(int64_t column, int64_t i, V* out) const {
    const auto at = static_cast<uint64_t>(column * k + i);
    unpack_nvfp4<kWidth>(codes + at / 2, scales[at / codec::kNvfp4Block], out);
  }
  template <int WIDTH = kWidth>
  HWY_INLINE void lanes_apart(int64_t column, int64_t i, V* out) const {
    const auto at = static_cast<uint64_t>(column * k + i);
    unpack_even_and_odd<WIDTH>(codes + at / 2, scales[at / codec::kNvfp4Block], out);
  }
  // Once for a cache line of codes.
  HWY_INLINE void prefetch(int64_t column, int64_t i) const {
    if (i % 128 == 0) prefetch_after(codes + (column * k + i) / 2);
  }
  HWY_INLINE const void* column_begin(int64_t column) const { return codes + column * k / 2; }
  // There is none: k is a multiple of 16.
  HWY_INLINE void tail(int64_t column, int64_t i, V* out) const { lanes(column, i, out); }
};

// E4M3 [columns, k]; each tile of 128 x 128 has a scale where TILED.
template <bool TILED>
struct Fp8Matrix {
  static constexpr bool kTakesApart = false;

  const uint8_t* data;
  int64_t k;
  const float* scales;   // [columns / 128, tiles] of the whole matrix
  int64_t tiles;         // in a row of tiles
  int64_t first_column;  // of `data`, in the whole matrix

  // As a half float a byte's bits are the value times 2^-8, subnormals included.
  HWY_INLINE void widen(const uint8_t* from, int64_t column, int64_t i, V* out) const {
    constexpr int64_t kTile = Fp8Weight::kTile;
    const hn::Rebind<uint16_t, D> d16;
    float scale = 256;
    if constexpr (TILED) scale *= scales[(first_column + column) / kTile * tiles + i / kTile];
    for (int v = 0; v < kVectors; ++v) {
      const auto byte = hn::PromoteTo(d16, hn::LoadU(hn::Rebind<uint8_t, D>(), from + v * kWidth));
      const auto magnitude = hn::And(byte, hn::Set(d16, uint16_t{0x7f}));
      const auto half = hn::Or(hn::ShiftLeft<7>(magnitude),
                               hn::ShiftLeft<8>(hn::AndNot(hn::Set(d16, uint16_t{0x7f}), byte)));
      const auto nan = hn::Eq(magnitude, hn::Set(d16, uint16_t{0x7f}));
      const auto bits = hn::BitCast(hn::Rebind<hwy::float16_t, D>(), hn::IfThenZeroElse(nan, half));
      out[v] = hn::Mul(hn::PromoteTo(D(), bits), hn::Set(D(), scale));
    }
  }
  // Once for a cache line.
  HWY_INLINE void prefetch(int64_t column, int64_t i) const {
    if (i % 64 == 0) prefetch_after(data + column * k + i);
  }
  HWY_INLINE const void* column_begin(int64_t column) const { return data + column * k; }
  HWY_INLINE void lanes(int64_t column, int64_t i, V* out) const {
    widen(data + column * k + i, column, i, out);
  }
  HWY_INLINE void tail(int64_t column, int64_t i, V* out) const {
    uint8_t padded[kLanes] = {};
    std::copy(data + column * k + i, data + (column + 1) * k, padded);
    widen(padded, column, i, out);
  }
};

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
