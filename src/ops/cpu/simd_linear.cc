#include "ops/cpu/simd_linear.h"

#include <algorithm>
#include <type_traits>
#include <variant>

#include "base/check.h"

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/simd_linear.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/cpu/simd_chains_inl.h"
#include "ops/cpu/simd_weights_inl.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {

// A register holds one part of a chain or, where it has room, the chains of two rows: the inputs of
// `kSide` rows, a row group, lie side by side, and weights are loaded to all sides.
constexpr int kSide = kWidth > kChainLanes ? kWidth / kChainLanes : 1;
constexpr int64_t kStepFloats = kStep * kSide;  // the even inputs of all rows, then the odd ones

// COLUMNS outputs of one row.
template <int COLUMNS, class M>
HWY_INLINE void multiply_row_columns(const float* x, const M& matrix, int64_t column, float* out) {
  hn::Vec<C> sum[COLUMNS * kChainVectors];
  for (auto& chain : sum) chain = hn::Zero(C());
  const auto add = [&](int c, int64_t step, const Step& weights) HWY_ATTR {
    const float* at = x + step * kStepFloats;
    for (int v = 0; v < kChainVectors; ++v) {
      auto& chain = sum[c * kChainVectors + v];
      const auto even = hn::LoadU(C(), at + v * kChainWidth);
      const auto odd = hn::LoadU(C(), at + kChainLanes * kSide + v * kChainWidth);
      chain = hn::MulAdd(even, weights.even[v], chain);
      chain = hn::MulAdd(odd, weights.odd[v], chain);
    }
  };
  Step weights;
  const int64_t whole = matrix.k / kStep;
  int64_t step = 0;
  for (; step + M::kLineSteps <= whole; step += M::kLineSteps) {
    const ColumnsRead read = matrix.read(column, COLUMNS, step);
    for (int c = 0; c < COLUMNS; ++c) read.prefetch(c);
    for (int64_t s = step; s < step + M::kLineSteps; ++s) {
      for (int c = 0; c < COLUMNS; ++c) {
        matrix.load(column + c, s, weights);
        add(c, s, weights);
      }
    }
  }
  for (; step * kStep < matrix.k; ++step) {
    for (int c = 0; c < COLUMNS; ++c) {
      step < whole ? matrix.load(column + c, step, weights)
                   : matrix.load_tail(column + c, step, weights);
      add(c, step, weights);
    }
  }
  for (int c = 0; c < COLUMNS; ++c) out[c] = reduce_chain(sum + c * kChainVectors);
}

template <class M>
void multiply_row(const LinearBlock& block, int64_t row, const M& matrix) {
  const float* x = block.inputs->row(row);
  float* out = block.out + row * block.out_stride;
  int64_t column = 0;
  for (; column + 4 <= block.columns; column += 4) {  // enough chains for the core's multipliers
    multiply_row_columns<4>(x, matrix, column, out + column);
  }
  for (; column < block.columns; ++column) {
    multiply_row_columns<1>(x, matrix, column, out + column);
  }
}

#if HWY_TARGET == HWY_SCALAR
template <class M>
void multiply(const LinearBlock& block, const M& matrix) {
  for (int64_t row = 0; row < block.inputs->rows(); ++row) multiply_row(block, row, matrix);
}
#else

// Inputs of a panel: twelve columns of them take 18 KiB as f32, of a first-level cache of 32.
constexpr int64_t kPanelDepth = 384;

// Register tiles, in row groups: chains take 24 of 32 registers, 12 of 16, or 8 where a chain needs
// two of 16. A step keeps the operands of the shorter side: with 3 x 4 those of the rows, which GCC
// holds in registers where weights are plain loads; with 4 x 3 those of the columns, which it holds
// where weights are computed (src/ops/CMakeLists.txt, -fira-loop-pressure).
constexpr bool kManyRegisters = kSide == 2 || HWY_ARCH_ARM_A64;
constexpr int tile_columns(int groups) {
  if (kSide == 2) return groups > 2 ? 6 : 12;
  return (kManyRegisters || kChainVectors == 1 ? 12 : 4) / groups;
}
constexpr int tile_vectors(int groups) { return tile_columns(groups) * kChainVectors; }

// Weights that the next panel will need: memory works on them while the core multiplies.
struct Ahead {
  const uint8_t* at;
  const uint8_t* end;

  // Asks for the next four cache lines. (Written out: a loop that only prefetches counts as empty,
  // and compilers drop it.)
  HWY_INLINE void prefetch() {
    if (at >= end) return;
    hwy::Prefetch(at);
    hwy::Prefetch(at + kCacheLine);
    hwy::Prefetch(at + 2 * kCacheLine);
    hwy::Prefetch(at + 3 * kCacheLine);
    at += 4 * kCacheLine;
  }
};

// Eight lanes of weights or, where a chain takes several vectors, one of them: for all rows of a
// register.
#if HWY_MAX_BYTES >= 64
HWY_INLINE V load_sides(const void* from) {
  return V{_mm512_broadcast_f32x8(_mm256_loadu_ps(static_cast<const float*>(from)))};
}
#else
HWY_INLINE V load_sides(const void* from) { return hn::BitCast(D(), load_words(from)); }
#endif

template <int TIMES>
HWY_INLINE void prefetch_ahead(Ahead* ahead) {
  ahead->prefetch();
  if constexpr (TIMES > 1) prefetch_ahead<TIMES - 1>(ahead);
}

// Weights of a panel in f32: [columns][kPanelDepth] by steps, the even inputs and then the odd
// ones.
struct WidePanel {
  static constexpr int kTileGroups = kManyRegisters ? 4 : 4 - kChainVectors;

  const float* at;

  template <int HALF, int PART>
  HWY_INLINE V load_part(int64_t column, int64_t step) const {
    return load_sides(at + column * kPanelDepth + step * kStep + HALF * kChainLanes +
                      PART * kChainWidth);
  }
};

// Weights of a panel in bf16 where they lie in the matrix.
struct Bf16Panel {
  static constexpr int kTileGroups = kManyRegisters || kChainVectors == 1 ? 4 : 2;

  const uint16_t* at;
  int64_t stride;

  template <int HALF, int PART>
  HWY_INLINE V load_part(int64_t column, int64_t step) const {
    const hn::RebindToUnsigned<D> words;
    const auto both = hn::BitCast(
        words, load_sides(at + column * stride + step * kStep + 2 * PART * kChainWidth));
    if constexpr (HALF == 0) return hn::BitCast(D(), hn::ShiftLeft<16>(both));
    return hn::BitCast(D(), hn::And(both, hn::Set(words, 0xffff0000u)));
  }
};

// One piece of a panel's depth, and the row groups that it multiplies.
template <class PANEL>
struct PanelRows {
  PANEL panel;
  const float* x;
  int64_t x_stride;  // of a row group
  int64_t rows;
  int64_t steps;  // of this piece
  bool first;     // this piece begins the chains
  bool last;      // this piece ends them
  float* chains;  // [row groups][kPanelColumns][kSide][kChainLanes]
  float* out;
  int64_t out_stride;
  int64_t columns;  // that are stored
  Ahead* ahead;
};

// Chains of a row group's column, and of all of its columns, in floats.
constexpr int64_t kColumnFloats = kSide * kChainLanes;
constexpr int64_t kGroupFloats = kPanelColumns * kColumnFloats;

// The chains of a tile: [row groups][columns][kChainVectors].
template <int GROUPS>
using Chains = V[GROUPS * tile_vectors(GROUPS)];

// Goes on with them by a part of the even or of the odd half of a step.
template <int GROUPS, int HALF, int PART, class PANEL>
HWY_INLINE void multiply_part(const PANEL& panel, const float* x, int64_t x_stride, int64_t column,
                              int64_t step, Chains<GROUPS>& sum) {
  constexpr int kColumns = tile_columns(GROUPS);
  const float* from = x + step * kStepFloats + HALF * kChainLanes * kSide + PART * kWidth;
  if constexpr (GROUPS > kColumns) {
    V right[kColumns];
    for (int c = 0; c < kColumns; ++c) {
      right[c] = panel.template load_part<HALF, PART>(column + c, step);
    }
    for (int g = 0; g < GROUPS; ++g) {
      const V left = load(from + g * x_stride);
      for (int c = 0; c < kColumns; ++c) {
        V& chain = sum[(g * kColumns + c) * kChainVectors + PART];
        chain = hn::MulAdd(left, right[c], chain);
      }
    }
  } else {
    V left[GROUPS];
    for (int g = 0; g < GROUPS; ++g) left[g] = load(from + g * x_stride);
    for (int c = 0; c < kColumns; ++c) {
      const V right = panel.template load_part<HALF, PART>(column + c, step);
      for (int g = 0; g < GROUPS; ++g) {
        V& chain = sum[(g * kColumns + c) * kChainVectors + PART];
        chain = hn::MulAdd(left[g], right, chain);
      }
    }
  }
}

template <int GROUPS, class PANEL>
HWY_INLINE void multiply_steps(const PANEL& panel, const float* x, int64_t x_stride, int64_t column,
                               int64_t steps, Chains<GROUPS>& sum) {
  constexpr int kLast = kChainVectors - 1;
  for (int64_t step = 0; step < steps; ++step) {
    multiply_part<GROUPS, 0, 0>(panel, x, x_stride, column, step, sum);
    if (kLast > 0) multiply_part<GROUPS, 0, kLast>(panel, x, x_stride, column, step, sum);
    multiply_part<GROUPS, 1, 0>(panel, x, x_stride, column, step, sum);
    if (kLast > 0) multiply_part<GROUPS, 1, kLast>(panel, x, x_stride, column, step, sum);
  }
}

// reduce_chain(), of four chains that lie kColumnFloats apart.
HWY_INLINE hn::Vec<hn::FixedTag<float, 4> > reduce_four(const float* chains) {
  const hn::FixedTag<float, 4> quad;
  const auto fold = [&](int c) HWY_ATTR {
    const float* lanes = chains + c * kColumnFloats;
    return hn::Add(hn::Load(quad, lanes), hn::Load(quad, lanes + 4));
  };
  const auto a = fold(0);
  const auto b = fold(1);
  const auto c = fold(2);
  const auto d = fold(3);
  const auto ab = hn::Add(hn::ConcatLowerLower(quad, b, a), hn::ConcatUpperUpper(quad, b, a));
  const auto cd = hn::Add(hn::ConcatLowerLower(quad, d, c), hn::ConcatUpperUpper(quad, d, c));
  return hn::Add(hn::ConcatEven(quad, cd, ab), hn::ConcatOdd(quad, cd, ab));
}

// The outputs of one row, whose chains lie kColumnFloats apart.
HWY_INLINE void store_row(const float* chains, int64_t columns, float* out) {
  const hn::FixedTag<float, 4> quad;
  int64_t c = 0;
  for (; c + 4 <= columns; c += 4) {
    hn::StoreU(reduce_four(chains + c * kColumnFloats), quad, out + c);
  }
  HWY_ALIGN float rest[4];
  if (c < columns) hn::Store(reduce_four(chains + c * kColumnFloats), quad, rest);
  for (int64_t i = 0; c + i < columns; ++i) out[c + i] = rest[i];
}

#if HWY_MAX_BYTES >= 64
// reduce_chain() of four columns of two row groups at once: block b of the result, of four floats,
// holds the columns' outputs of row b.
HWY_INLINE V reduce_groups(const float* chains) {
  const auto fold = [&](int c) HWY_ATTR {
    const V a = hn::Load(D(), chains + c * kColumnFloats);
    const V b = hn::Load(D(), chains + c * kColumnFloats + kGroupFloats);
    const auto low = _mm512_shuffle_f32x4(a.raw, b.raw, _MM_SHUFFLE(2, 0, 2, 0));
    const auto high = _mm512_shuffle_f32x4(a.raw, b.raw, _MM_SHUFFLE(3, 1, 3, 1));
    return hn::Add(V{low}, V{high});
  };
  const auto pair = [&](V a, V b) HWY_ATTR {
    const auto low = _mm512_shuffle_ps(a.raw, b.raw, _MM_SHUFFLE(1, 0, 1, 0));
    const auto high = _mm512_shuffle_ps(a.raw, b.raw, _MM_SHUFFLE(3, 2, 3, 2));
    return hn::Add(V{low}, V{high});
  };
  const V ab = pair(fold(0), fold(1));
  const V cd = pair(fold(2), fold(3));
  const auto even = _mm512_shuffle_ps(ab.raw, cd.raw, _MM_SHUFFLE(2, 0, 2, 0));
  const auto odd = _mm512_shuffle_ps(ab.raw, cd.raw, _MM_SHUFFLE(3, 1, 3, 1));
  return hn::Add(V{even}, V{odd});
}

// The outputs of a whole panel and the four rows of two groups.
HWY_INLINE void store_groups(const float* chains, float* out, int64_t out_stride) {
  for (int64_t c = 0; c < kPanelColumns; c += 4, chains += 4 * kColumnFloats, out += 4) {
    const V sums = reduce_groups(chains);
    _mm_storeu_ps(out, _mm512_castps512_ps128(sums.raw));
    _mm_storeu_ps(out + out_stride, _mm512_extractf32x4_ps(sums.raw, 1));
    _mm_storeu_ps(out + 2 * out_stride, _mm512_extractf32x4_ps(sums.raw, 2));
    _mm_storeu_ps(out + 3 * out_stride, _mm512_extractf32x4_ps(sums.raw, 3));
  }
}
#endif

// GROUPS row groups against a tile's columns of the panel.
template <int GROUPS, class PANEL>
HWY_INLINE void multiply_tile(const PanelRows<PANEL>& rows, int64_t group, int64_t column) {
  constexpr int kTileVectors = tile_vectors(GROUPS);
  float* kept = rows.chains + group * kGroupFloats + column * kColumnFloats;
  Chains<GROUPS> sum;
#pragma GCC unroll 24  // an array that a loop goes over stays in memory
  for (int i = 0; i < GROUPS * kTileVectors; ++i) {
    const float* chain = kept + i / kTileVectors * kGroupFloats + i % kTileVectors * kWidth;
    sum[i] = rows.first ? hn::Zero(D()) : hn::Load(D(), chain);
  }
  prefetch_ahead<(GROUPS * kSide * tile_columns(GROUPS) + 7) / 8>(rows.ahead);
  multiply_steps<GROUPS>(rows.panel, rows.x + group * rows.x_stride, rows.x_stride, column,
                         rows.steps, sum);
#pragma GCC unroll 24
  for (int i = 0; i < GROUPS * kTileVectors; ++i) {
    hn::Store(sum[i], D(), kept + i / kTileVectors * kGroupFloats + i % kTileVectors * kWidth);
  }
}

template <int GROUPS, class PANEL>
void multiply_groups(const PanelRows<PANEL>& rows, int64_t group) {
  for (int64_t column = 0; column < rows.columns; column += tile_columns(GROUPS)) {
    multiply_tile<GROUPS>(rows, group, column);
  }
  if (!rows.last) return;
  const int64_t end = std::min((group + GROUPS) * kSide, rows.rows);
  int64_t row = group * kSide;
#if HWY_MAX_BYTES >= 64
  for (; rows.columns == kPanelColumns && row + 2 * kSide <= end; row += 2 * kSide) {
    store_groups(rows.chains + row / kSide * kGroupFloats, rows.out + row * rows.out_stride,
                 rows.out_stride);
  }
#endif
  for (; row < end; ++row) {
    store_row(rows.chains + row / kSide * kGroupFloats + row % kSide * kChainLanes, rows.columns,
              rows.out + row * rows.out_stride);
  }
}

// The piece against all of its rows.
template <class PANEL>
HWY_INLINE void multiply_panel(const PanelRows<PANEL>& piece) {
  const int64_t groups = (piece.rows + kSide - 1) / kSide;
  int64_t group = 0;
  constexpr int kGroups = PANEL::kTileGroups;
  for (; group + kGroups <= groups; group += kGroups) multiply_groups<kGroups>(piece, group);
  switch (groups - group) {  // fewer than kGroups, which depends on the instruction set
    case 3:
      if constexpr (kGroups > 3) multiply_groups<3>(piece, group);
      return;
    case 2:
      if constexpr (kGroups > 2) multiply_groups<2>(piece, group);
      return;
    case 1:
      return multiply_groups<1>(piece, group);
    default:
      return;
  }
}

// Widens `steps` steps of `columns` columns; the other columns of the panel become zero.
template <class M>
void widen_panel(const M& matrix, int64_t column, int64_t columns, int64_t first, int64_t steps,
                 float* panel) {
  for (int64_t c = 0; c < kPanelColumns; ++c) {
    float* to = panel + c * kPanelDepth;
    for (int64_t step = 0; step < steps; ++step, to += kStep) {
      Step wide;
      if (c >= columns) {
        for (int v = 0; v < kChainVectors; ++v) wide.even[v] = wide.odd[v] = hn::Zero(C());
      } else if ((first + step + 1) * kStep <= matrix.k) {
        matrix.load(column + c, first + step, wide);
      } else {
        matrix.load_tail(column + c, first + step, wide);
      }
      for (int v = 0; v < kChainVectors; ++v) {
        hn::Store(wide.even[v], C(), to + v * kChainWidth);
        hn::Store(wide.odd[v], C(), to + kChainLanes + v * kChainWidth);
      }
    }
  }
}

struct RowBlock {
  const float* x;
  int64_t x_stride;  // of a row group
  int64_t rows;
  int64_t columns;
  float* out;
  int64_t out_stride;
};

// Columns of a panel, by pieces of its depth.
template <class M>
HWY_INLINE void multiply_pieces(const RowBlock& block, const M& matrix, int64_t column,
                                int64_t columns, Ahead& ahead, float* chains) {
  HWY_ALIGN float wide[kPanelColumns * kPanelDepth];
  const int64_t steps = (matrix.k + kStep - 1) / kStep;
  const auto multiply_piece = [&](auto panel, int64_t step, int64_t piece_steps) HWY_ATTR {
    multiply_panel<decltype(panel)>({.panel = panel,
                                     .x = block.x + step * kStepFloats,
                                     .x_stride = block.x_stride,
                                     .rows = block.rows,
                                     .steps = piece_steps,
                                     .first = step == 0,
                                     .last = step + piece_steps == steps,
                                     .chains = chains,
                                     .out = block.out + column,
                                     .out_stride = block.out_stride,
                                     .columns = columns,
                                     .ahead = &ahead});
  };
  constexpr int64_t kPieceSteps = kPanelDepth / kStep;
  for (int64_t step = 0; step < steps; step += kPieceSteps) {
    const int64_t piece_steps = std::min(kPieceSteps, steps - step);
    if constexpr (std::is_same_v<M, FloatMatrix<uint16_t> >) {
      if (columns == kPanelColumns && matrix.k % kStep == 0) {
        const uint16_t* at = matrix.data + column * matrix.stride + step * kStep;
        multiply_piece(Bf16Panel{at, matrix.stride}, step, piece_steps);
        continue;
      }
    }
    widen_panel(matrix, column, columns, step, piece_steps, wide);
    multiply_piece(WidePanel{wide}, step, piece_steps);
  }
}

// At most kRowBlock rows, whose inputs and chains stay in the second-level cache.
template <class M>
void multiply_block(const RowBlock& block, const M& matrix) {
  HWY_ALIGN float chains[kRowBlock * kPanelColumns * kChainLanes];
  for (int64_t column = 0; column < block.columns; column += kPanelColumns) {
    const int64_t next = std::min(column + kPanelColumns, block.columns);
    const int64_t after = std::min(next + kPanelColumns, block.columns);
    Ahead ahead{reinterpret_cast<const uint8_t*>(matrix.column_begin(next)),
                reinterpret_cast<const uint8_t*>(matrix.column_begin(after))};
    multiply_pieces(block, matrix, column, next - column, ahead, chains);
  }
}

template <class M>
void multiply(const LinearBlock& block, const M& matrix) {
  const int64_t rows = block.inputs->rows();
  if (rows == 1) return multiply_row(block, 0, matrix);
  for (int64_t row = 0; row < rows; row += kRowBlock) {
    multiply_block({.x = block.inputs->row(row),
                    .x_stride = block.inputs->stride(),
                    .rows = std::min(kRowBlock, rows - row),
                    .columns = block.columns,
                    .out = block.out + row * block.out_stride,
                    .out_stride = block.out_stride},
                   matrix);
  }
}
#endif

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

// Sixteen inputs of one row, the even ones and the odd ones apart by the rows of its group.
HWY_INLINE void arrange_step(const float* x, const float* scale, float* out) {
  Step step;
  load_step(x, step);
  if (scale != nullptr) {
    Step scales;
    load_step(scale, scales);
    for (int v = 0; v < kChainVectors; ++v) {
      step.even[v] = hn::Mul(step.even[v], scales.even[v]);
      step.odd[v] = hn::Mul(step.odd[v], scales.odd[v]);
    }
  }
  for (int v = 0; v < kChainVectors; ++v) {
    hn::StoreU(step.even[v], C(), out + v * kChainWidth);
    hn::StoreU(step.odd[v], C(), out + kChainLanes * kSide + v * kChainWidth);
  }
}

void arrange_row(const float* x, int64_t k, const float* scale, float* out) {
  const int64_t whole = k / kStep * kStep;
  for (int64_t i = 0; i < whole; i += kStep) {
    arrange_step(x + i, scale ? scale + i : nullptr, out + i * kSide);
  }
  if (whole == k) return;
  float padded[2][kStep] = {};
  std::copy(x + whole, x + k, padded[0]);
  if (scale) std::copy(scale + whole, scale + k, padded[1]);
  arrange_step(padded[0], scale ? padded[1] : nullptr, out + whole * kSide);
}

int64_t arranged_floats(int64_t k) { return (k + kStep - 1) / kStep * kStepFloats; }

int64_t group_rows() { return kSide; }

void linear_block(const LinearBlock& block) {
  std::visit([&](const auto& weight) HWY_ATTR { multiply_kind(block, weight); },
             block.part->weight);
}

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gallop::ops::simd {

HWY_EXPORT(linear_block);
HWY_EXPORT(arrange_row);
HWY_EXPORT(arranged_floats);
HWY_EXPORT(group_rows);

// A row group's stride is not a power of two: they would share the sets of the first-level cache.
LinearInputs::LinearInputs(int64_t rows, int64_t k)
    : rows_(rows),
      k_(k),
      group_rows_(HWY_DYNAMIC_DISPATCH(group_rows)()),
      stride_(HWY_DYNAMIC_DISPATCH(arranged_floats)(k) + 16),
      data_(hwy::AllocateAligned<float>(
          static_cast<size_t>((rows + group_rows_ - 1) / group_rows_ * stride_))) {
  const int64_t whole = rows / group_rows_;
  if (whole * group_rows_ < rows) std::fill_n(data_.get() + whole * stride_, stride_, 0.0f);
}

const float* LinearInputs::row(int64_t r) const {
  return data_.get() + r / group_rows_ * stride_ + r % group_rows_ * kChainLanes;
}

void LinearInputs::set(int64_t r, const float* x, const float* scale) {
  HWY_DYNAMIC_DISPATCH(arrange_row)(x, k_, scale, const_cast<float*>(row(r)));
}

void linear_block(const LinearBlock& block) { HWY_DYNAMIC_DISPATCH(linear_block)(block); }

}  // namespace gallop::ops::simd
#endif
