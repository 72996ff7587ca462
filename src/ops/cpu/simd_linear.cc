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
constexpr int64_t kGroupFloats = kSide * kChainLanes;

// COLUMNS outputs of one row, whose halves of steps lie `stride` apart.
template <int COLUMNS, class M>
HWY_INLINE void multiply_row_columns(const float* x, int64_t stride, const M& matrix,
                                     int64_t column, float* out) {
  hn::Vec<C> sum[COLUMNS * kChainVectors];
  for (auto& chain : sum) chain = hn::Zero(C());
  const auto add = [&](int c, int64_t step, const Step& weights) HWY_ATTR {
    const float* at = x + 2 * step * stride;
    for (int v = 0; v < kChainVectors; ++v) {
      auto& chain = sum[c * kChainVectors + v];
      const auto even = hn::LoadU(C(), at + v * kChainWidth);
      const auto odd = hn::LoadU(C(), at + stride + v * kChainWidth);
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
HWY_INLINE void multiply_row(const float* x, int64_t stride, const M& matrix, int64_t columns,
                             float* out) {
  int64_t column = 0;
  for (; column + 4 <= columns; column += 4) {  // enough chains for the core's multipliers
    multiply_row_columns<4>(x, stride, matrix, column, out + column);
  }
  for (; column < columns; ++column) {
    multiply_row_columns<1>(x, stride, matrix, column, out + column);
  }
}

#if HWY_TARGET == HWY_SCALAR
template <class M>
void multiply(const LinearBlock& block, const M& matrix) {
  for (int64_t row = 0; row < block.inputs->rows(); ++row) {
    const int64_t of = row / kBlockGroups;
    multiply_row(block.inputs->block(of) + row % kBlockGroups * kGroupFloats,
                 block.inputs->stride(of), matrix, block.columns,
                 block.out + row * block.out_stride);
  }
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
  if (kSide == 2) return groups > 4 ? 3 : groups > 2 ? 6 : 12;
  return (kManyRegisters || kChainVectors == 1 ? 12 : 4) / groups;
}
constexpr int tile_vectors(int groups) { return tile_columns(groups) * kChainVectors; }

// Weights that the next panel will need: memory works on them while the core multiplies.
struct Ahead {
  const uint8_t* at;
  const uint8_t* end;

  // Asks for the next LINES cache lines. (No loop: one that only prefetches counts as empty, and
  // compilers drop it.)
  template <int LINES>
  HWY_INLINE void prefetch() {
    if (at >= end) return;
    prefetch_lines<LINES>();
  }

  template <int LINES>
  HWY_INLINE void prefetch_lines() {
    hwy::Prefetch(at);
    at += kCacheLine;
    if constexpr (LINES > 1) prefetch_lines<LINES - 1>();
  }
};

// load_sides: eight lanes of weights or, where a chain takes several vectors, one of them, for all
// rows of a register. load_once: inputs that GCC must not load again for each column, because two
// loads a cycle are then all that the core does.
#if HWY_MAX_BYTES >= 64
HWY_INLINE V load_sides(const void* from) {
  return V{_mm512_broadcast_f32x8(_mm256_loadu_ps(static_cast<const float*>(from)))};
}
HWY_INLINE V load_once(const float* from) {
  return V{*reinterpret_cast<const volatile __m512*>(from)};
}
#else
HWY_INLINE V load_sides(const void* from) { return hn::BitCast(D(), load_words(from)); }
HWY_INLINE V load_once(const float* from) { return load(from); }
#endif

// Weights of a panel's columns in f32, from a step on: [columns][kPanelDepth] by steps, the even
// inputs and then the odd ones.
struct WidePanel {
  static constexpr int kTileGroups = kSide == 2 ? 8 : kManyRegisters ? 4 : 4 - kChainVectors;

  const float* at;

  HWY_INLINE WidePanel from_column(int64_t column) const { return {at + column * kPanelDepth}; }
  HWY_INLINE void next_step() { at += kStep; }
  template <int HALF, int PART>
  HWY_INLINE V load_part(int column) const {
    return load_sides(at + column * kPanelDepth + HALF * kChainLanes + PART * kChainWidth);
  }
};

// Weights of a panel's columns in bf16 where they lie in the matrix, from a step on.
struct Bf16Panel {
  static constexpr int kTileGroups = kSide == 2 ? 8 : kManyRegisters || kChainVectors == 1 ? 4 : 2;

  const uint16_t* at;
  int64_t stride;

  HWY_INLINE Bf16Panel from_column(int64_t column) const { return {at + column * stride, stride}; }
  HWY_INLINE void next_step() { at += kStep; }
  template <int HALF, int PART>
  HWY_INLINE V load_part(int column) const {
    const hn::RebindToUnsigned<D> words;
    const auto both = hn::BitCast(words, load_sides(at + column * stride + 2 * PART * kChainWidth));
    if constexpr (HALF == 0) return hn::BitCast(D(), hn::ShiftLeft<16>(both));
    return hn::BitCast(D(), hn::And(both, hn::Set(words, 0xffff0000u)));
  }
};

// One piece of a panel's depth, and the row groups that it multiplies.
template <class PANEL>
struct PanelRows {
  PANEL panel;
  const LinearInputs* inputs;
  int64_t block;  // of inputs, the first of
  int64_t rows;
  int64_t step;  // the first of
  int64_t steps;
  bool first;     // this piece begins the chains
  bool last;      // this piece ends them
  float* chains;  // [row groups][kPanelColumns][kGroupFloats]
  float* out;
  int64_t out_stride;
  int64_t columns;  // that are stored
  Ahead* ahead;
};

// Chains of a row group against all columns.
constexpr int64_t kChainFloats = kPanelColumns * kGroupFloats;

// The chains of a tile: [row groups][columns][kChainVectors].
template <int GROUPS>
using Chains = V[GROUPS * tile_vectors(GROUPS)];

// Goes on with them by a part of the even or of the odd half of a step.
template <int GROUPS, int HALF, int PART, class PANEL>
HWY_INLINE void multiply_part(const PANEL& panel, const float* x, Chains<GROUPS>& sum) {
  constexpr int kColumns = tile_columns(GROUPS);
  if constexpr (GROUPS > kColumns) {
    V right[kColumns];
    for (int c = 0; c < kColumns; ++c) right[c] = panel.template load_part<HALF, PART>(c);
    for (int g = 0; g < GROUPS; ++g) {
      const V left = load_once(x + g * kGroupFloats + PART * kWidth);
      for (int c = 0; c < kColumns; ++c) {
        V& chain = sum[(g * kColumns + c) * kChainVectors + PART];
        chain = hn::MulAdd(left, right[c], chain);
      }
    }
  } else {
    V left[GROUPS];
    for (int g = 0; g < GROUPS; ++g) left[g] = load(x + g * kGroupFloats + PART * kWidth);
    for (int c = 0; c < kColumns; ++c) {
      const V right = panel.template load_part<HALF, PART>(c);
      for (int g = 0; g < GROUPS; ++g) {
        V& chain = sum[(g * kColumns + c) * kChainVectors + PART];
        chain = hn::MulAdd(left[g], right, chain);
      }
    }
  }
}

// x: the tile's first row group; halves of steps lie `stride` apart.
template <int GROUPS, class PANEL>
HWY_INLINE void multiply_steps(PANEL panel, const float* x, int64_t stride, int64_t steps,
                               Ahead& ahead, Chains<GROUPS>& sum) {
  constexpr int kLast = kChainVectors - 1;
  constexpr int kLines = (tile_columns(GROUPS) + 1) / 2;
  for (int64_t step = 0; step < steps; ++step) {
    ahead.prefetch<kLines>();
    multiply_part<GROUPS, 0, 0>(panel, x, sum);
    if (kLast > 0) multiply_part<GROUPS, 0, kLast>(panel, x, sum);
    x += stride;
    multiply_part<GROUPS, 1, 0>(panel, x, sum);
    if (kLast > 0) multiply_part<GROUPS, 1, kLast>(panel, x, sum);
    x += stride;
    panel.next_step();
  }
}

// reduce_chain(), of four chains that lie kGroupFloats apart.
HWY_INLINE hn::Vec<hn::FixedTag<float, 4> > reduce_four(const float* chains) {
  const hn::FixedTag<float, 4> quad;
  const auto fold = [&](int c) HWY_ATTR {
    const float* lanes = chains + c * kGroupFloats;
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

// The outputs of one row, whose chains lie kGroupFloats apart.
HWY_INLINE void store_row(const float* chains, int64_t columns, float* out) {
  const hn::FixedTag<float, 4> quad;
  int64_t c = 0;
  for (; c + 4 <= columns; c += 4) {
    hn::StoreU(reduce_four(chains + c * kGroupFloats), quad, out + c);
  }
  HWY_ALIGN float rest[4];
  if (c < columns) hn::Store(reduce_four(chains + c * kGroupFloats), quad, rest);
  for (int64_t i = 0; c + i < columns; ++i) out[c + i] = rest[i];
}

#if HWY_MAX_BYTES >= 64
// reduce_chain() of four columns of two row groups at once: block b of the result, of four floats,
// holds the columns' outputs of row b.
HWY_INLINE V reduce_groups(const float* chains) {
  const auto fold = [&](int c) HWY_ATTR {
    const V a = hn::Load(D(), chains + c * kGroupFloats);
    const V b = hn::Load(D(), chains + c * kGroupFloats + kChainFloats);
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
  for (int64_t c = 0; c < kPanelColumns; c += 4, chains += 4 * kGroupFloats, out += 4) {
    const V sums = reduce_groups(chains);
    _mm_storeu_ps(out, _mm512_castps512_ps128(sums.raw));
    _mm_storeu_ps(out + out_stride, _mm512_extractf32x4_ps(sums.raw, 1));
    _mm_storeu_ps(out + 2 * out_stride, _mm512_extractf32x4_ps(sums.raw, 2));
    _mm_storeu_ps(out + 3 * out_stride, _mm512_extractf32x4_ps(sums.raw, 3));
  }
}
#endif

// GROUPS row groups, whose inputs begin at x, against a tile's columns of the panel.
template <int GROUPS, class PANEL>
HWY_INLINE void multiply_tile(const PanelRows<PANEL>& rows, const float* x, int64_t stride,
                              int64_t column, float* chains) {
  constexpr int kTileVectors = tile_vectors(GROUPS);
  float* kept = chains + column * kGroupFloats;
  Chains<GROUPS> sum;
#pragma GCC unroll 24  // an array that a loop goes over stays in memory
  for (int i = 0; i < GROUPS * kTileVectors; ++i) {
    const float* chain = kept + i / kTileVectors * kChainFloats + i % kTileVectors * kWidth;
    sum[i] = rows.first ? hn::Zero(D()) : hn::Load(D(), chain);
  }
  Ahead ahead = *rows.ahead;
  multiply_steps<GROUPS>(rows.panel.from_column(column), x, stride, rows.steps, ahead, sum);
  *rows.ahead = ahead;
#pragma GCC unroll 24
  for (int i = 0; i < GROUPS * kTileVectors; ++i) {
    hn::Store(sum[i], D(), kept + i / kTileVectors * kChainFloats + i % kTileVectors * kWidth);
  }
}

template <int GROUPS, class PANEL>
void multiply_groups(const PanelRows<PANEL>& rows, int64_t group) {
  float* chains = rows.chains + group * kChainFloats;
  const int64_t block = rows.block + group / kBlockGroups;
  const int64_t stride = rows.inputs->stride(block);
  const float* x =
      rows.inputs->block(block) + group % kBlockGroups * kGroupFloats + 2 * rows.step * stride;
  for (int64_t column = 0; column < rows.columns; column += tile_columns(GROUPS)) {
    multiply_tile<GROUPS>(rows, x, stride, column, chains);
  }
  if (!rows.last) return;
  int64_t row = group * kSide;
  const int64_t end = std::min(row + GROUPS * kSide, rows.rows);
#if HWY_MAX_BYTES >= 64
  for (; rows.columns == kPanelColumns && row + 2 * kSide <= end; row += 2 * kSide) {
    store_groups(rows.chains + row / kSide * kChainFloats, rows.out + row * rows.out_stride,
                 rows.out_stride);
  }
#endif
  for (; row < end; ++row) {
    store_row(rows.chains + row / kSide * kChainFloats + row % kSide * kChainLanes, rows.columns,
              rows.out + row * rows.out_stride);
  }
}

// The row groups [group, end) of one block of inputs.
template <class PANEL>
HWY_INLINE void multiply_input_block(const PanelRows<PANEL>& piece, int64_t group, int64_t end) {
  constexpr int kGroups = PANEL::kTileGroups;
  for (; group + kGroups <= end; group += kGroups) multiply_groups<kGroups>(piece, group);
  if constexpr (kGroups > 4) {
    for (; group + 4 <= end; group += 4) multiply_groups<4>(piece, group);
  }
  switch (end - group) {  // fewer than kGroups, which depends on the instruction set
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

// The piece against all of its rows.
template <class PANEL>
HWY_INLINE void multiply_panel(const PanelRows<PANEL>& piece) {
  const int64_t groups = (piece.rows + kSide - 1) / kSide;
  for (int64_t group = 0; group < groups; group += kBlockGroups) {
    multiply_input_block(piece, group, std::min(group + kBlockGroups, groups));
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
  const LinearInputs* inputs;
  int64_t block;  // of inputs, the first of
  int64_t rows;
  int64_t columns;
  float* out;
  int64_t out_stride;
};

static_assert(kRowBlock % (kSide * kBlockGroups) == 0);

// Columns of a panel, by pieces of its depth.
template <class M>
HWY_INLINE void multiply_pieces(const RowBlock& block, const M& matrix, int64_t column,
                                int64_t columns, Ahead& ahead, float* chains) {
  HWY_ALIGN float wide[kPanelColumns * kPanelDepth];
  const int64_t steps = (matrix.k + kStep - 1) / kStep;
  const auto multiply_piece = [&](auto panel, int64_t step, int64_t piece_steps) HWY_ATTR {
    multiply_panel<decltype(panel)>({.panel = panel,
                                     .inputs = block.inputs,
                                     .block = block.block,
                                     .rows = block.rows,
                                     .step = step,
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
  if (rows == 1) {
    return multiply_row(block.inputs->block(0), kGroupFloats, matrix, block.columns, block.out);
  }
  for (int64_t row = 0; row < rows; row += kRowBlock) {
    multiply_block({.inputs = block.inputs,
                    .block = row / kSide / kBlockGroups,
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

// Sixteen inputs of one row: the even ones and, `stride` behind them, the odd ones.
HWY_INLINE void arrange_step(const float* x, const float* scale, int64_t stride, float* out) {
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
    hn::StoreU(step.odd[v], C(), out + stride + v * kChainWidth);
  }
}

void arrange_row(const float* x, int64_t k, const float* scale, int64_t stride, float* out) {
  const int64_t whole = k / kStep * kStep;
  for (int64_t i = 0; i < whole; i += kStep, out += 2 * stride) {
    arrange_step(x + i, scale ? scale + i : nullptr, stride, out);
  }
  if (whole == k) return;
  float padded[2][kStep] = {};
  std::copy(x + whole, x + k, padded[0]);
  if (scale) std::copy(scale + whole, scale + k, padded[1]);
  arrange_step(padded[0], scale ? padded[1] : nullptr, stride, out);
}

int64_t group_floats() { return kGroupFloats; }

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
HWY_EXPORT(group_floats);

LinearInputs::LinearInputs(int64_t rows, int64_t k)
    : rows_(rows), k_(k), group_floats_(HWY_DYNAMIC_DISPATCH(group_floats)()) {
  const int64_t group_rows = group_floats_ / kChainLanes;
  const int64_t halves = 2 * ((k + 2 * kChainLanes - 1) / (2 * kChainLanes));
  groups_ = (rows + group_rows - 1) / group_rows;
  block_floats_ = kBlockGroups * group_floats_ * halves;
  const int64_t last = (groups_ - 1) / kBlockGroups;
  const int64_t last_floats = stride(last) * halves;
  data_ = hwy::AllocateAligned<float>(static_cast<size_t>(last * block_floats_ + last_floats));
  if (rows % group_rows != 0) std::fill_n(data_.get() + last * block_floats_, last_floats, 0.0f);
}

void LinearInputs::set(int64_t r, const float* x, const float* scale) {
  const int64_t block_rows = kBlockGroups * group_floats_ / kChainLanes;
  const int64_t b = r / block_rows;
  float* row = data_.get() + b * block_floats_ + r % block_rows * kChainLanes;
  HWY_DYNAMIC_DISPATCH(arrange_row)(x, k_, scale, stride(b), row);
}

void linear_block(const LinearBlock& block) { HWY_DYNAMIC_DISPATCH(linear_block)(block); }

}  // namespace gallop::ops::simd
#endif
