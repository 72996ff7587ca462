#include "ops/cpu/simd_weighted_sum.h"

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/simd_weighted_sum.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/cpu/simd_lanes_inl.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {

// Values that lie wherever they lie, from dimension `first` on.
struct ScatteredValues {
  const float* const* values;
  int64_t first;

  HWY_INLINE const float* at(int64_t term) const { return values[term] + first; }
};

// Two vectors of every value, side by side. Values are a power of two apart: where they lie they
// compete for few places of the first-level cache.
struct PackedValues {
  static constexpr int64_t kTerms = 128;  // 8 KiB with vectors of eight
  static constexpr int64_t kStep = 2 * kWidth;
  HWY_ALIGN float packed[kTerms * kStep];

  HWY_INLINE void pack(const WeightedSum& op, int64_t first) {
    for (int64_t term = 0; term < op.terms; ++term) {
      const float* value = op.values[term] + first;
      hn::Store(load(value), D(), packed + term * kStep);
      hn::Store(load(value + kWidth), D(), packed + term * kStep + kWidth);
    }
  }
  HWY_INLINE const float* at(int64_t term) const { return packed + term * kStep; }
};

// ROWS rows, VECTORS vectors of their dimensions from `first` on.
template <class Tag, int ROWS, int VECTORS, class Values>
HWY_INLINE void add_rows(const WeightedSum& op, int64_t row, int64_t first, const Values& values) {
  using Vec = hn::Vec<Tag>;
  constexpr int kStep = static_cast<int>(hn::MaxLanes(Tag()));
  float* out = op.out + row * op.out_stride + first;
  const float* weights = op.weights + row * op.weights_stride;
  Vec sums[ROWS][VECTORS];
  for (int r = 0; r < ROWS; ++r) {
    const Vec fade = hn::Set(Tag(), op.fade[row + r]);
    for (int v = 0; v < VECTORS; ++v) {
      sums[r][v] = hn::Mul(hn::LoadU(Tag(), out + r * op.out_stride + v * kStep), fade);
    }
  }
  for (int64_t term = 0; term < op.terms; ++term) {
    const float* value = values.at(term);
    Vec parts[VECTORS];
    for (int v = 0; v < VECTORS; ++v) parts[v] = hn::LoadU(Tag(), value + v * kStep);
    for (int r = 0; r < ROWS; ++r) {
      const Vec weight = hn::Set(Tag(), weights[r * op.weights_stride + term * op.weight_step]);
      for (int v = 0; v < VECTORS; ++v) sums[r][v] = hn::MulAdd(weight, parts[v], sums[r][v]);
    }
  }
  for (int r = 0; r < ROWS; ++r) {
    for (int v = 0; v < VECTORS; ++v) {
      hn::StoreU(sums[r][v], Tag(), out + r * op.out_stride + v * kStep);
    }
  }
}

// All rows from `row` on, as many at once as keep their sums in registers.
template <class Tag, int VECTORS, class Values>
HWY_INLINE void add_all_rows(const WeightedSum& op, int64_t row, int64_t first,
                             const Values& values) {
  for (; row + 6 <= op.rows; row += 6) add_rows<Tag, 6, VECTORS>(op, row, first, values);
  for (; row + 4 <= op.rows; row += 4) add_rows<Tag, 4, VECTORS>(op, row, first, values);
  for (; row < op.rows; ++row) add_rows<Tag, 1, VECTORS>(op, row, first, values);
}

// Whole vectors of few rows: more of them at once, since one row has few sums.
template <int ROWS, int VECTORS>
HWY_INLINE int64_t add_few_rows(const WeightedSum& op, int64_t row) {
  int64_t first = 0;
  for (; first + VECTORS * kWidth <= op.dim; first += VECTORS * kWidth) {
    add_rows<D, ROWS, VECTORS>(op, row, first, ScatteredValues{op.values, first});
  }
  return first;
}

// What is left of the rows' dimensions from `first` on.
HWY_INLINE void add_tail(const WeightedSum& op, int64_t row, int64_t first) {
  for (; first + kWidth <= op.dim; first += kWidth) {
    add_all_rows<D, 1>(op, row, first, ScatteredValues{op.values, first});
  }
  for (; first < op.dim; ++first) {
    add_all_rows<hn::CappedTag<float, 1>, 1>(op, row, first, ScatteredValues{op.values, first});
  }
}

WeightedSum rows_of(const WeightedSum& op, int64_t begin, int64_t end) {
  WeightedSum part = op;
  part.out += begin * op.out_stride;
  part.fade += begin;
  part.weights += begin * op.weights_stride;
  part.rows = end - begin;
  return part;
}

template <int ROWS, int VECTORS>
HWY_INLINE int64_t add_groups(const WeightedSum& op, int64_t row) {
  for (; row + ROWS <= op.rows; row += ROWS) {
    const WeightedSum part = rows_of(op, row, row + ROWS);
    add_tail(part, 0, add_few_rows<ROWS, VECTORS>(part, 0));
  }
  return row;
}

void add_weighted_sum(const WeightedSum& op) {
  constexpr int64_t kManyRows = 8;  // from here on packed values are read often enough
  if (op.rows < kManyRows || op.terms > PackedValues::kTerms) {
    int64_t row = add_groups<6, 2>(op, 0);
    row = add_groups<4, 2>(op, row);
    row = add_groups<2, 4>(op, row);
    add_groups<1, 8>(op, row);
    return;
  }
  PackedValues values;
  int64_t first = 0;
  for (; first + PackedValues::kStep <= op.dim; first += PackedValues::kStep) {
    values.pack(op, first);
    add_all_rows<D, 2>(op, 0, first, values);
  }
  add_tail(op, 0, first);
}

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gallop::ops::simd {

HWY_EXPORT(add_weighted_sum);

void add_weighted_sum(const WeightedSum& op) { HWY_DYNAMIC_DISPATCH(add_weighted_sum)(op); }

}  // namespace gallop::ops::simd
#endif
