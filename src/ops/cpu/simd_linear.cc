#include "ops/cpu/simd_linear.h"

#include <algorithm>
#include <variant>
#include <vector>

#include "base/check.h"

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/simd_linear.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/cpu/simd_lanes_inl.h"
#include "ops/cpu/simd_weights_inl.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {

// Of each sixteen inputs the even ones first.
HWY_INLINE std::vector<float> even_and_odd(const float* x, int64_t k) {
  std::vector<float> apart(static_cast<size_t>(k));
  for (int64_t i = 0; i < k; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) apart[i + l / 2 + l % 2 * kLanes / 2] = x[i + l];
  }
  return apart;
}

// Two vectors of even and odd lanes become the lanes in their order.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void join_lanes(V*) {}  // single lanes are never taken apart
#else
HWY_INLINE void join_lanes(V* sums) {
  const V low = hn::InterleaveLower(D(), sums[0], sums[1]);
  const V high = hn::InterleaveUpper(D(), sums[0], sums[1]);
  sums[0] = hn::ConcatLowerLower(D(), high, low);
  sums[1] = hn::ConcatUpperUpper(D(), high, low);
}
#endif

// One output of one row, sixteen chains; x as even_and_odd() gives it where the matrix takes it
// apart.
template <class M>
HWY_INLINE void row_chains(const float* x, const M& matrix, int64_t column, V (&out)[kVectors]) {
  V sums[kVectors];  // not `out`, which could lie where x lies, for all that a compiler knows
  for (int v = 0; v < kVectors; ++v) sums[v] = hn::Zero(D());
  V right[kVectors];
  int64_t i = 0;
  for (; i + kLanes <= matrix.k; i += kLanes) {
    matrix.prefetch(column, i);
    if constexpr (M::kTakesApart) {
      matrix.lanes_apart(column, i, right);
    } else {
      matrix.lanes(column, i, right);
    }
    for (int v = 0; v < kVectors; ++v) {
      sums[v] = hn::MulAdd(load(x + i + v * kWidth), right[v], sums[v]);
    }
  }
  if constexpr (M::kTakesApart) join_lanes(sums);
  if (i < matrix.k) {
    float x_tail[kLanes] = {};  // the last lanes are zero: they add nothing
    std::copy(x + i, x + matrix.k, x_tail);
    matrix.tail(column, i, right);
    for (int v = 0; v < kVectors; ++v) {
      sums[v] = hn::MulAdd(load(x_tail + v * kWidth), right[v], sums[v]);
    }
  }
  for (int v = 0; v < kVectors; ++v) out[v] = sums[v];
}

// One row. Columns are read one after the other, as they lie in memory: that is what the core
// prefetches best (measured on a Zen 3: 15 GB/s of 16; four columns side by side 9), and the core
// itself overlaps the chains of a column with those of the next.
template <class M>
HWY_INLINE void multiply_row(const LinearBlock& block, const M& matrix) {
  std::vector<float> apart;
  if constexpr (M::kTakesApart) apart = even_and_odd(block.x, matrix.k);
  const float* x = M::kTakesApart ? apart.data() : block.x;
  V sums[4][kVectors];
  int64_t column = 0;
  for (; column + 4 <= block.columns; column += 4) {
    for (int c = 0; c < 4; ++c) row_chains(x, matrix, column + c, sums[c]);
    reduce_four(sums, block.out + column);
  }
  for (; column < block.columns; ++column) {
    row_chains(x, matrix, column, sums[0]);
    block.out[column] = reduce(sums[0]);
  }
}

// Inputs of a panel: twelve columns of them take 18 KiB of a first-level cache of 32.
constexpr int64_t kPanelDepth = 384;
// Rows whose inputs and running sums stay in the second-level cache while panels pass over them.
constexpr int64_t kRowBlock = 128;

// Register tiles of several rows: 12 of 16 registers or 24 of 32 hold chains. The operands that are
// kept are the rows' (measured on a Zen 3, best of 60: 3 x 4 reaches 96 of 102 GFLOP/s, 4 x 3 and 6
// x 2 with the columns kept 70).
constexpr int kTileRows = kWidth == 16 ? 4 : 3;
constexpr int kTileColumns = kWidth == 16 ? 6 : 4;

// Weights that the next panel will need: memory works on them while the core multiplies.
struct Ahead {
  const uint8_t* at;
  const uint8_t* end;

  // Asks for the next four cache lines. (Written out: a loop that only prefetches counts as empty,
  // and compilers drop it.)
  HWY_INLINE void prefetch() {
    constexpr int64_t kCacheLine = 64;
    if (at >= end) return;
    hwy::Prefetch(at);
    hwy::Prefetch(at + kCacheLine);
    hwy::Prefetch(at + 2 * kCacheLine);
    hwy::Prefetch(at + 3 * kCacheLine);
    at += 4 * kCacheLine;
  }
};

// One piece of a panel's depth, and the rows that it multiplies.
struct PanelRows {
  const float* x;
  int64_t x_stride;
  const float* panel;  // [kPanelColumns][kPanelDepth] f32
  int64_t depth;       // of this piece, a multiple of 16
  bool first;          // this piece begins the chains
  bool last;           // this piece ends them
  float* sums;         // [rows][kPanelColumns * kLanes] of the chains between pieces, tile by tile
  float* out;
  int64_t out_stride;
  int64_t columns;  // that are stored
  Ahead* ahead;
};

// Goes on with one vector of each chain of a tile: sum[r][c] += x[r] * panel[c].
template <int ROWS, int COLUMNS>
HWY_INLINE void multiply_tile(const float* x, int64_t x_stride, const float* panel, int64_t depth,
                              V (&sum)[ROWS][COLUMNS]) {
  for (int64_t i = 0; i < depth; i += kLanes) {
    V left[ROWS];
    for (int r = 0; r < ROWS; ++r) left[r] = load(x + r * x_stride + i);
    for (int c = 0; c < COLUMNS; ++c) {
      const V right = load(panel + c * kPanelDepth + i);
      for (int r = 0; r < ROWS; ++r) sum[r][c] = hn::MulAdd(left[r], right, sum[r][c]);
    }
  }
}

// Adds up the lanes of a tile's chains, whose last vectors are `sum` and the others in `sums`, and
// stores the outputs of `columns` columns.
template <int ROWS, int COLUMNS>
HWY_INLINE void store_tile(const V (&sum)[ROWS][COLUMNS], const float* sums, int64_t columns,
                           float* out, int64_t out_stride) {
  constexpr int kOutputs = ROWS * COLUMNS;
  static_assert(kOutputs % 4 == 0);
  HWY_ALIGN float reduced[kOutputs];
  for (int o = 0; o < kOutputs; o += 4) {
    V lanes[4][kVectors];
    for (int j = 0; j < 4; ++j) {
      for (int v = 0; v + 1 < kVectors; ++v) {
        lanes[j][v] = hn::Load(D(), sums + (v * kOutputs + o + j) * kWidth);
      }
      lanes[j][kVectors - 1] = sum[(o + j) / COLUMNS][(o + j) % COLUMNS];
    }
    reduce_four(lanes, reduced + o);
  }
  for (int r = 0; r < ROWS; ++r) {
    if (columns >= COLUMNS) {
      for (int c = 0; c < COLUMNS; ++c) out[r * out_stride + c] = reduced[r * COLUMNS + c];
    } else {
      for (int64_t c = 0; c < columns; ++c) out[r * out_stride + c] = reduced[r * COLUMNS + c];
    }
  }
}

// ROWS rows against COLUMNS columns of the panel. The vectors of one output are chains of their
// own, so each passes over the piece by itself, and all registers hold different outputs.
template <int ROWS, int COLUMNS>
HWY_INLINE void multiply_columns(const PanelRows& rows, int64_t row, int64_t column) {
  constexpr int kOutputs = ROWS * COLUMNS;
  const float* x = rows.x + row * rows.x_stride;
  const float* panel = rows.panel + column * kPanelDepth;
  float* sums = rows.sums + (row * kPanelColumns + column * ROWS) * kLanes;
  for (int v = 0; v < kVectors; ++v) {
    float* kept = sums + v * kOutputs * kWidth;
    V sum[ROWS][COLUMNS];
    for (int o = 0; o < kOutputs; ++o) {
      sum[o / COLUMNS][o % COLUMNS] = rows.first ? hn::Zero(D()) : hn::Load(D(), kept + o * kWidth);
    }
    rows.ahead->prefetch();
    if (ROWS < kTileRows) rows.ahead->prefetch();  // few rows are over soon
    multiply_tile<ROWS, COLUMNS>(x + v * kWidth, rows.x_stride, panel + v * kWidth, rows.depth,
                                 sum);
    if (rows.last && v + 1 == kVectors) {
      store_tile<ROWS, COLUMNS>(sum, sums, rows.columns - column,
                                rows.out + row * rows.out_stride + column, rows.out_stride);
    } else {
      for (int o = 0; o < kOutputs; ++o) {
        hn::Store(sum[o / COLUMNS][o % COLUMNS], D(), kept + o * kWidth);
      }
    }
  }
}

template <int ROWS, int COLUMNS>
void multiply_rows(const PanelRows& rows, int64_t row) {
  for (int64_t column = 0; column < rows.columns; column += COLUMNS) {
    multiply_columns<ROWS, COLUMNS>(rows, row, column);
  }
}

// The piece against all of its rows.
void multiply_panel(const PanelRows& piece, int64_t rows) {
  int64_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) {
    multiply_rows<kTileRows, kTileColumns>(piece, row);
  }
  switch (rows - row) {  // kTileRows is 4 on some instruction sets
    case 3:
      return multiply_rows<3, 4>(piece, row);
    case 2:
      return multiply_rows<2, 6>(piece, row);
    case 1:
      return multiply_rows<1, 12>(piece, row);
    default:
      return;
  }
}

// Widens inputs [i, i + depth) of `columns` columns; the other columns of the panel become zero.
template <class M>
HWY_INLINE void widen_panel(const M& matrix, int64_t column, int64_t columns, int64_t i,
                            int64_t depth, float* panel) {
  const bool tail = i + depth > matrix.k;  // a piece of sixteen, not all of them there
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t j = 0; j < depth; j += kLanes) {
      V wide[kVectors];
      tail ? matrix.tail(column + c, i, wide) : matrix.lanes(column + c, i + j, wide);
      for (int v = 0; v < kVectors; ++v) {
        hn::Store(wide[v], D(), panel + c * kPanelDepth + j + v * kWidth);
      }
    }
  }
  std::fill(panel + columns * kPanelDepth, panel + kPanelColumns * kPanelDepth, 0.0f);
}

// Inputs [i, i + depth) of a block's rows, scaled where there is a scale, with zeros up to a
// multiple of 16: [rows][kPanelDepth].
HWY_INLINE void copy_inputs(const LinearBlock& block, const float* input_scale, int64_t i,
                            int64_t depth, float* out) {
  for (int64_t r = 0; r < block.rows; ++r, out += kPanelDepth) {
    const float* x = block.x + r * block.x_stride + i;
    for (int64_t j = 0; j < depth; ++j) out[j] = input_scale ? x[j] * input_scale[i + j] : x[j];
    std::fill(out + depth, out + (depth + kLanes - 1) / kLanes * kLanes, 0.0f);
  }
}

// At most kRowBlock rows.
template <class M>
void multiply_block(const LinearBlock& block, const float* input_scale, const M& matrix) {
  HWY_ALIGN float panel[kPanelColumns * kPanelDepth];
  HWY_ALIGN float sums[kRowBlock * kPanelColumns * kLanes];
  HWY_ALIGN float inputs[kRowBlock * kPanelDepth];  // those that cannot be used where they lie
  const int64_t whole = matrix.k / kLanes * kLanes;
  for (int64_t column = 0; column < block.columns; column += kPanelColumns) {
    const int64_t next = std::min(column + kPanelColumns, block.columns);
    const int64_t after = std::min(next + kPanelColumns, block.columns);
    Ahead ahead{static_cast<const uint8_t*>(matrix.column_begin(next)),
                static_cast<const uint8_t*>(matrix.column_begin(after))};
    PanelRows piece{.x = nullptr,
                    .x_stride = 0,
                    .panel = panel,
                    .depth = 0,
                    .first = true,
                    .last = false,
                    .sums = sums,
                    .out = block.out + column,
                    .out_stride = block.out_stride,
                    .columns = next - column,
                    .ahead = &ahead};
    for (int64_t i = 0; i < matrix.k; i += piece.depth) {
      const bool copied = input_scale != nullptr || i == whole;
      piece.depth = i == whole ? kLanes : std::min(kPanelDepth, whole - i);
      if (copied) copy_inputs(block, input_scale, i, std::min(piece.depth, matrix.k - i), inputs);
      piece.x = copied ? inputs : block.x + i;
      piece.x_stride = copied ? kPanelDepth : block.x_stride;
      piece.first = i == 0;
      piece.last = i + piece.depth >= matrix.k;
      widen_panel(matrix, column, piece.columns, i, piece.depth, panel);
      multiply_panel(piece, block.rows);
    }
  }
}

// One row with an input scale: 128 KiB of inputs are scaled before.
constexpr int64_t kMaxScaledRow = 32768;

template <class M>
void multiply_scaled_row(LinearBlock block, const float* input_scale, const M& matrix) {
  HWY_ALIGN float scaled[kMaxScaledRow];
  for (int64_t i = 0; i < matrix.k; ++i) scaled[i] = block.x[i] * input_scale[i];
  block.x = scaled;
  multiply_row(block, matrix);
}

template <class M>
void multiply(LinearBlock block, const M& matrix) {
  const TensorView& scale = block.part->input_scale;
  const float* input_scale = scale.empty() ? nullptr : scale.as<const float>();
  if (block.rows == 1 && input_scale == nullptr) return multiply_row(block, matrix);
  if (block.rows == 1 && matrix.k <= kMaxScaledRow) {
    return multiply_scaled_row(block, input_scale, matrix);
  }
  for (int64_t rows = block.rows; rows > 0; rows -= block.rows) {
    block.rows = std::min(kRowBlock, rows);
    multiply_block(block, input_scale, matrix);
    block.x += block.rows * block.x_stride;
    block.out += block.rows * block.out_stride;
  }
}

template <class W>
FloatMatrix<W> float_matrix(const TensorView& weight, int64_t column) {
  return {weight.row<const W>(column), weight.stride(0), weight.extent(1)};
}

void multiply_kind(const LinearBlock& block, const FloatWeight& weight) {
  switch (weight.weight.dtype()) {
    case DType::kF32:
      return multiply(block, float_matrix<float>(weight.weight, block.column));
    case DType::kBF16:
      return multiply(block, float_matrix<uint16_t>(weight.weight, block.column));
    case DType::kF16:
      return multiply(block, float_matrix<hwy::float16_t>(weight.weight, block.column));
    default:
      check_failed(__FILE__, __LINE__, "linear weights of floats are F32, BF16 or F16");
  }
}

void multiply_kind(const LinearBlock& block, const Nvfp4Weight& weight) {
  multiply(block,
           Nvfp4Matrix{weight.codes.row<const uint8_t>(block.column),
                       weight.scales.row<const uint8_t>(block.column), 2 * weight.codes.extent(1)});
}

void multiply_kind(const LinearBlock& block, const Fp8Weight& weight) {
  const auto* data = weight.weight.row<const uint8_t>(block.column);
  const int64_t k = weight.weight.extent(1);
  if (weight.tiled()) {
    return multiply(block, Fp8Matrix<true>{data, k, weight.scales.as<const float>(),
                                           weight.scales.extent(1), block.column});
  }
  multiply(block, Fp8Matrix<false>{data, k, nullptr, 0, 0});
}

void linear_block(const LinearBlock& block) {
  std::visit([&](const auto& weight) HWY_ATTR { multiply_kind(block, weight); },
             block.part->weight);
}

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gallop::ops::simd {

HWY_EXPORT(linear_block);

void linear_block(const LinearBlock& block) { HWY_DYNAMIC_DISPATCH(linear_block)(block); }

}  // namespace gallop::ops::simd
#endif
