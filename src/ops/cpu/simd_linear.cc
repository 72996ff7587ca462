#include "ops/cpu/simd_linear.h"

#include <algorithm>

#include "base/check.h"

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/simd_linear.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/cpu/simd_lanes_inl.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {

// Stored weights [columns, k], by lanes.
template <class W>
struct Matrix {
  const W* data;
  int64_t k;

  // One column's weights of inputs [i, i + 16).
  HWY_INLINE void lanes(int64_t column, int64_t i, V* out) const {
    for (int v = 0; v < kVectors; ++v) out[v] = load(data + column * k + i + v * kWidth);
  }
  // The inputs from i to the end, fewer than 16; zeros behind them.
  HWY_INLINE void tail(int64_t column, int64_t i, V* out) const {
    W padded[kLanes] = {};
    for (int64_t j = i; j < k; ++j) padded[j - i] = data[column * k + j];
    for (int v = 0; v < kVectors; ++v) out[v] = load(padded + v * kWidth);
  }
};

// Bytes ahead of the running load that the one-row loop asks for: what arrives from memory in about
// 200 ns at 20 GB/s.
constexpr int64_t kPrefetchBytes = 4096;

// One row, COLUMNS columns side by side, so that their chains hide the multiply-add's latency.
template <int COLUMNS, class M>
HWY_INLINE void one_row(const float* x, const M& matrix, int64_t column, float* out) {
  V sums[COLUMNS][kVectors];
  for (int c = 0; c < COLUMNS; ++c) {
    for (int v = 0; v < kVectors; ++v) sums[c][v] = hn::Zero(D());
  }
  int64_t i = 0;
  for (; i + kLanes <= matrix.k; i += kLanes) {
    V left[kVectors];
    for (int v = 0; v < kVectors; ++v) left[v] = load(x + i + v * kWidth);
    for (int c = 0; c < COLUMNS; ++c) {
      V right[kVectors];
      matrix.lanes(column + c, i, right);
      for (int v = 0; v < kVectors; ++v) sums[c][v] = hn::MulAdd(left[v], right[v], sums[c][v]);
    }
  }
  if (i < matrix.k) {  // the last lanes are zero: they add nothing
    float x_tail[kLanes] = {};
    std::copy(x + i, x + matrix.k, x_tail);
    for (int c = 0; c < COLUMNS; ++c) {
      V right[kVectors];
      matrix.tail(column + c, i, right);
      for (int v = 0; v < kVectors; ++v) {
        sums[c][v] = hn::MulAdd(load(x_tail + v * kWidth), right[v], sums[c][v]);
      }
    }
  }
  if constexpr (COLUMNS == 4) {
    reduce_four(sums, out);
  } else {
    for (int c = 0; c < COLUMNS; ++c) out[c] = reduce(sums[c]);
  }
}

template <class M>
HWY_INLINE void multiply_row(const LinearBlock& block, const M& matrix) {
  int64_t column = 0;
  for (; column + 4 <= block.columns; column += 4) {
    one_row<4>(block.x, matrix, column, block.out + column);
  }
  for (; column < block.columns; ++column) one_row<1>(block.x, matrix, column, block.out + column);
}

// Inputs of a panel: twelve columns of them take 18 KiB of a first-level cache of 32.
constexpr int64_t kPanelDepth = 384;
// Rows whose inputs and running sums stay in the second-level cache while panels pass over them.
constexpr int64_t kRowBlock = 128;

// Register tiles of several rows: twelve or twenty-four chains, the rest for operands.
constexpr int kTileRows = 4;
constexpr int kTileColumns = kWidth == 16 ? 6 : 3;

// One piece of a panel's depth for ROWS x COLUMNS outputs: adds to `sums`,
// [kVectors][ROWS][COLUMNS] vectors, which it sets where this is the first piece. The vectors of
// one output are chains of their own, so each passes over the piece by itself, and half of the
// registers suffices.
template <int ROWS, int COLUMNS>
HWY_INLINE void multiply_tile(const float* x, int64_t x_stride, const float* panel, int64_t depth,
                              bool first, float* sums) {
  for (int v = 0; v < kVectors; ++v, sums += ROWS * COLUMNS * kWidth) {
    V sum[ROWS][COLUMNS];
    for (int r = 0; r < ROWS; ++r) {
      for (int c = 0; c < COLUMNS; ++c) {
        sum[r][c] = first ? hn::Zero(D()) : load(sums + (r * COLUMNS + c) * kWidth);
      }
    }
    for (int64_t i = v * kWidth; i < depth; i += kLanes) {
      if constexpr (ROWS > COLUMNS) {
        V right[COLUMNS];
        for (int c = 0; c < COLUMNS; ++c) right[c] = load(panel + c * kPanelDepth + i);
        for (int r = 0; r < ROWS; ++r) {
          const V left = load(x + r * x_stride + i);
          for (int c = 0; c < COLUMNS; ++c) sum[r][c] = hn::MulAdd(left, right[c], sum[r][c]);
        }
      } else {
        V left[ROWS];
        for (int r = 0; r < ROWS; ++r) left[r] = load(x + r * x_stride + i);
        for (int c = 0; c < COLUMNS; ++c) {
          const V right = load(panel + c * kPanelDepth + i);
          for (int r = 0; r < ROWS; ++r) sum[r][c] = hn::MulAdd(left[r], right, sum[r][c]);
        }
      }
    }
    for (int r = 0; r < ROWS; ++r) {
      for (int c = 0; c < COLUMNS; ++c)
        hn::Store(sum[r][c], D(), sums + (r * COLUMNS + c) * kWidth);
    }
  }
}

// What is left of a panel's work: which rows and columns it goes on with.
struct PanelRows {
  const float* x;
  int64_t x_stride;
  const float* panel;  // [kPanelColumns][kPanelDepth] f32
  int64_t depth;       // a multiple of 16
  bool first;
  float* sums;  // [kPanelColumns * kLanes] for each row, tile by tile
};

// The whole panel against ROWS rows.
template <int ROWS, int COLUMNS>
HWY_INLINE void multiply_rows(const PanelRows& rows, int64_t row) {
  float* sums = rows.sums + row * kPanelColumns * kLanes;
  for (int c = 0; c < kPanelColumns; c += COLUMNS, sums += ROWS * COLUMNS * kLanes) {
    multiply_tile<ROWS, COLUMNS>(rows.x + row * rows.x_stride, rows.x_stride,
                                 rows.panel + c * kPanelDepth, rows.depth, rows.first, sums);
  }
}

// Adds up the lanes of ROWS rows of a finished panel.
template <int ROWS, int COLUMNS>
HWY_INLINE void store_rows(const float* sums, int64_t columns, float* out, int64_t out_stride) {
  constexpr int kOutputs = ROWS * COLUMNS;
  static_assert(kOutputs % 4 == 0 && kPanelColumns % COLUMNS == 0);
  for (int begin = 0; begin < kPanelColumns; begin += COLUMNS, sums += kOutputs * kLanes) {
    HWY_ALIGN float reduced[kOutputs];
    for (int o = 0; o < kOutputs; o += 4) {
      V lanes[4][kVectors];
      for (int j = 0; j < 4; ++j) {
        for (int v = 0; v < kVectors; ++v) {
          lanes[j][v] = hn::Load(D(), sums + (v * kOutputs + o + j) * kWidth);
        }
      }
      reduce_four(lanes, reduced + o);
    }
    const int64_t end = std::min<int64_t>(columns - begin, COLUMNS);
    for (int r = 0; r < ROWS; ++r) {
      for (int64_t c = 0; c < end; ++c) out[r * out_stride + begin + c] = reduced[r * COLUMNS + c];
    }
  }
}

// Calls body.template operator()<ROWS, COLUMNS>(row) for tiles of rows that cover [0, rows).
template <class Body>
HWY_INLINE void for_each_tile(int64_t rows, const Body& body) {
  int64_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) {
    body.template operator()<kTileRows, kTileColumns>(row);
  }
  switch (rows - row) {
    case 3:
      return body.template operator()<3, 4>(row);
    case 2:
      return body.template operator()<2, 6>(row);
    case 1:
      return body.template operator()<1, 12>(row);
    default:
      return;
  }
}

void multiply_panel(const PanelRows& panel, int64_t rows) {
  for_each_tile(rows, [&]<int ROWS, int COLUMNS>(int64_t row)
                          HWY_ATTR { multiply_rows<ROWS, COLUMNS>(panel, row); });
}

// Widens inputs [i, i + depth) of `columns` columns; the other columns of the panel become zero.
template <class M>
HWY_INLINE void widen_panel(const M& matrix, int64_t column, int64_t columns, int64_t i,
                            int64_t depth, float* panel) {
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t j = 0; j < depth; j += kLanes) {
      V wide[kVectors];
      if (i + j + kLanes <= matrix.k) {
        matrix.lanes(column + c, i + j, wide);
      } else {
        matrix.tail(column + c, i + j, wide);
      }
      for (int v = 0; v < kVectors; ++v) {
        hn::Store(wide[v], D(), panel + c * kPanelDepth + j + v * kWidth);
      }
    }
  }
  std::fill(panel + columns * kPanelDepth, panel + kPanelColumns * kPanelDepth, 0.0f);
}

// Several rows: at most kRowBlock.
template <class M>
void multiply_rows_of(const LinearBlock& block, const M& matrix) {
  HWY_ALIGN float panel[kPanelColumns * kPanelDepth];
  HWY_ALIGN float sums[kRowBlock * kPanelColumns * kLanes];
  HWY_ALIGN float x_tail[kRowBlock * kLanes];
  const int64_t whole = block.k / kLanes * kLanes;
  if (whole < block.k) {
    std::fill(x_tail, x_tail + block.rows * kLanes, 0.0f);
    for (int64_t r = 0; r < block.rows; ++r) {
      const float* x = block.x + r * block.x_stride;
      std::copy(x + whole, x + block.k, x_tail + r * kLanes);
    }
  }
  for (int64_t column = 0; column < block.columns; column += kPanelColumns) {
    const int64_t columns = std::min(kPanelColumns, block.columns - column);
    for (int64_t i = 0; i < whole; i += kPanelDepth) {
      const int64_t depth = std::min(kPanelDepth, whole - i);
      widen_panel(matrix, column, columns, i, depth, panel);
      multiply_panel({block.x + i, block.x_stride, panel, depth, i == 0, sums}, block.rows);
    }
    if (whole < block.k) {
      widen_panel(matrix, column, columns, whole, kLanes, panel);
      multiply_panel({x_tail, kLanes, panel, kLanes, whole == 0, sums}, block.rows);
    }
    for_each_tile(block.rows, [&]<int ROWS, int COLUMNS>(int64_t row) HWY_ATTR {
      store_rows<ROWS, COLUMNS>(sums + row * kPanelColumns * kLanes, columns,
                                block.out + row * block.out_stride + column, block.out_stride);
    });
  }
}

template <class M>
void multiply(LinearBlock block, const M& matrix) {
  if (block.rows == 1) return multiply_row(block, matrix);
  for (int64_t rows = block.rows; rows > 0; rows -= block.rows) {
    block.rows = std::min(kRowBlock, rows);
    multiply_rows_of(block, matrix);
    block.x += block.rows * block.x_stride;
    block.out += block.rows * block.out_stride;
  }
}

void linear_block(const LinearBlock& block) {
  switch (block.dtype) {
    case DType::kF32:
      return multiply(block, Matrix<float>{static_cast<const float*>(block.weight), block.k});
    case DType::kBF16:
      return multiply(block, Matrix<uint16_t>{static_cast<const uint16_t*>(block.weight), block.k});
    case DType::kF16:
      return multiply(
          block, Matrix<hwy::float16_t>{static_cast<const hwy::float16_t*>(block.weight), block.k});
    default:
      check_failed(__FILE__, __LINE__, "linear weights are F32, BF16 or F16");
  }
}

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gallop::ops::simd {

HWY_EXPORT(linear_block);

void linear_block(const LinearBlock& block) { HWY_DYNAMIC_DISPATCH(linear_block)(block); }

}  // namespace gallop::ops::simd
#endif
