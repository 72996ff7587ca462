#include "ops/cpu/simd.h"

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/simd.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "base/check.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Sixteen logical lanes on every instruction set: one, two or four vectors.
constexpr int kLanes = 16;
using D = hn::CappedTag<float, kLanes>;
using V = hn::Vec<D>;
constexpr int kWidth = static_cast<int>(hn::MaxLanes(D()));
constexpr int kVectors = kLanes / kWidth;

// Register tiles: rows x columns x kVectors accumulators, with room for operands. Sixteen registers
// hold 6 x 1 tiles of two vectors, where a widened weight serves six rows; a single row takes
// several columns, so that its chains hide the latency of the multiply-add.
constexpr int kTileRows = kWidth == 16 ? 4 : 6;
constexpr int kTileColumns = kWidth == 16 ? 4 : 1;
constexpr int kColumnBlock = 4;

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

// The fixed tree over sixteen lanes: l + (l + 8), then + 4, + 2, + 1.
HWY_INLINE float reduce(const V* accumulators) {
  HWY_ALIGN float lanes[kLanes];
  for (int v = 0; v < kVectors; ++v) hn::Store(accumulators[v], D(), lanes + v * kWidth);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

// One register tile: ROWS x COLUMNS outputs, all of k.
template <int ROWS, int COLUMNS, class W>
HWY_INLINE void linear_tile(const float* x, int64_t x_stride, const W* weight, int64_t k,
                            float* out, int64_t out_stride) {
  V sums[ROWS][COLUMNS][kVectors];
  for (int r = 0; r < ROWS; ++r) {
    for (int c = 0; c < COLUMNS; ++c) {
      for (int v = 0; v < kVectors; ++v) sums[r][c][v] = hn::Zero(D());
    }
  }
  const auto step = [&](const float* x_at, int64_t x_step, const W* w_at, int64_t w_step) {
    for (int v = 0; v < kVectors; ++v) {
      V left[ROWS];
      for (int r = 0; r < ROWS; ++r) left[r] = load(x_at + r * x_step + v * kWidth);
      for (int c = 0; c < COLUMNS; ++c) {
        const V right = load(w_at + c * w_step + v * kWidth);
        for (int r = 0; r < ROWS; ++r) sums[r][c][v] = hn::MulAdd(left[r], right, sums[r][c][v]);
      }
    }
  };
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) step(x + i, x_stride, weight + i, k);
  if (i < k) {  // the last lanes are zero: they add nothing
    float x_tail[ROWS][kLanes] = {};
    W w_tail[COLUMNS][kLanes] = {};
    for (int64_t j = i; j < k; ++j) {
      for (int r = 0; r < ROWS; ++r) x_tail[r][j - i] = x[r * x_stride + j];
      for (int c = 0; c < COLUMNS; ++c) w_tail[c][j - i] = weight[c * k + j];
    }
    step(x_tail[0], kLanes, w_tail[0], kLanes);
  }
  for (int r = 0; r < ROWS; ++r) {
    for (int c = 0; c < COLUMNS; ++c) out[r * out_stride + c] = reduce(sums[r][c]);
  }
}

// All rows of `COLUMNS` columns: whole row tiles, then the rows that are left one by one.
template <int COLUMNS, class W>
HWY_INLINE void linear_columns(const LinearBlock& block, int64_t column) {
  constexpr int kStep = COLUMNS < kTileColumns ? COLUMNS : kTileColumns;
  const W* weight = static_cast<const W*>(block.weight) + column * block.k;
  float* out = block.out + column;
  int64_t row = 0;
  for (; row + kTileRows <= block.rows; row += kTileRows) {
    for (int c = 0; c < COLUMNS; c += kStep) {
      linear_tile<kTileRows, kStep>(block.x + row * block.x_stride, block.x_stride,
                                    weight + c * block.k, block.k, out + row * block.out_stride + c,
                                    block.out_stride);
    }
  }
  for (; row < block.rows; ++row) {
    linear_tile<1, COLUMNS>(block.x + row * block.x_stride, block.x_stride, weight, block.k,
                            out + row * block.out_stride, block.out_stride);
  }
}

template <class W>
void linear_typed(const LinearBlock& block) {
  int64_t column = 0;
  for (; column + kColumnBlock <= block.columns; column += kColumnBlock) {
    linear_columns<kColumnBlock, W>(block, column);
  }
  for (; column < block.columns; ++column) linear_columns<1, W>(block, column);
}

void linear_block(const LinearBlock& block) {
  switch (block.dtype) {
    case DType::kF32:
      return linear_typed<float>(block);
    case DType::kBF16:
      return linear_typed<uint16_t>(block);
    case DType::kF16:
      return linear_typed<hwy::float16_t>(block);
    default:
      check_failed(__FILE__, __LINE__, "linear weights are F32, BF16 or F16");
  }
}

float dot(const float* a, const float* b, int64_t n) {
  float out = 0;
  linear_tile<1, 1>(a, n, b, n, &out, 1);
  return out;
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

HWY_EXPORT(linear_block);
HWY_EXPORT(dot);
HWY_EXPORT(axpy);
HWY_EXPORT(gdn_token);
HWY_EXPORT(gdn_fold);

void linear_block(const LinearBlock& block) { HWY_DYNAMIC_DISPATCH(linear_block)(block); }

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
