#include "ops/cpu/simd_gdn.h"

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/simd_gdn.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/cpu/simd_lanes_inl.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::simd::HWY_NAMESPACE {

// VECTORS vectors of a block's columns, from column `first` on.
template <class Tag, int VECTORS>
class GdnColumns {
 public:
  HWY_INLINE GdnColumns(const GdnBlock& block, int64_t first) : block_(block), first_(first) {}

  HWY_INLINE void run() {
    load_state();
    for (int64_t row = 0; row + 1 < block_.rows; ++row) update(row);
    finish(block_.rows - 1);
  }

 private:
  using Vec = hn::Vec<Tag>;
  static constexpr int kStep = static_cast<int>(hn::MaxLanes(Tag()));
  static constexpr int kColumns = VECTORS * kStep;

  // Takes in the folded rows, fades the state for row 0 and begins its S^T k.
  HWY_INLINE void load_state() {
    const bool store = !block_.keep && (block_.fresh || block_.fold > 0);
    const Vec decay = hn::Set(Tag(), block_.decay[0]);
    Vec sums[VECTORS];
    clear(sums);
    for (int64_t i = 0; i < block_.k_dim; ++i) {
      float* state = block_.state + i * block_.v_dim + first_;
      float* kept = block_.scratch + i * kColumns;
      Vec s[VECTORS];
      for (int v = 0; v < VECTORS; ++v) {
        s[v] = block_.fresh ? hn::Zero(Tag()) : hn::LoadU(Tag(), state + v * kStep);
      }
      fold(i, s);
      const Vec k = hn::Set(Tag(), block_.k[i]);
      for (int v = 0; v < VECTORS; ++v) {
        if (store) hn::StoreU(s[v], Tag(), state + v * kStep);
        s[v] = hn::Mul(s[v], decay);
        hn::StoreU(s[v], Tag(), kept + v * kStep);
        sums[v] = hn::MulAdd(s[v], k, sums[v]);
      }
    }
    store_u(0, sums);
  }

  HWY_INLINE void fold(int64_t i, Vec (&s)[VECTORS]) const {
    for (int64_t f = 0; f < block_.fold; ++f) {
      const Vec decay = hn::Set(Tag(), block_.fold_decay[f]);
      const Vec k = hn::Set(Tag(), block_.fold_k[f * block_.k_dim + i]);
      const float* u = block_.fold_u + f * block_.v_dim + first_;
      for (int v = 0; v < VECTORS; ++v) {
        s[v] = hn::MulAdd(k, hn::LoadU(Tag(), u + v * kStep), hn::Mul(s[v], decay));
      }
    }
  }

  // S <- S + k u^T and out = S^T q of `row`; on the way the state fades for the next row, and that
  // row's S^T k is added up.
  HWY_INLINE void update(int64_t row) {
    const Vec decay = hn::Set(Tag(), block_.decay[(row + 1) * block_.gate_stride]);
    const float* k_row = block_.k + row * block_.qk_stride;
    const float* q_row = block_.q + row * block_.qk_stride;
    const float* k_next = k_row + block_.qk_stride;
    Vec out[VECTORS];
    Vec sums[VECTORS];
    clear(out);
    clear(sums);
    for (int64_t i = 0; i < block_.k_dim; ++i) {
      float* kept = block_.scratch + i * kColumns;
      const Vec k = hn::Set(Tag(), k_row[i]);
      const Vec q = hn::Set(Tag(), q_row[i]);
      const Vec next = hn::Set(Tag(), k_next[i]);
      for (int v = 0; v < VECTORS; ++v) {
        Vec s = hn::MulAdd(k, u_[v], hn::LoadU(Tag(), kept + v * kStep));
        out[v] = hn::MulAdd(s, q, out[v]);
        s = hn::Mul(s, decay);
        hn::StoreU(s, Tag(), kept + v * kStep);
        sums[v] = hn::MulAdd(s, next, sums[v]);
      }
    }
    store_out(row, out);
    store_u(row + 1, sums);
  }

  // The last row; the state is stored if the rows are to change it.
  HWY_INLINE void finish(int64_t row) {
    Vec out[VECTORS];
    clear(out);
    for (int64_t i = 0; i < block_.k_dim; ++i) {
      const float* kept = block_.scratch + i * kColumns;
      float* state = block_.state + i * block_.v_dim + first_;
      const Vec k = hn::Set(Tag(), block_.k[row * block_.qk_stride + i]);
      const Vec q = hn::Set(Tag(), block_.q[row * block_.qk_stride + i]);
      for (int v = 0; v < VECTORS; ++v) {
        const Vec s = hn::MulAdd(k, u_[v], hn::LoadU(Tag(), kept + v * kStep));
        out[v] = hn::MulAdd(s, q, out[v]);
        if (block_.keep) hn::StoreU(s, Tag(), state + v * kStep);
      }
    }
    store_out(row, out);
  }

  // u = beta (v - S^T k)
  HWY_INLINE void store_u(int64_t row, const Vec (&sums)[VECTORS]) {
    const Vec beta = hn::Set(Tag(), block_.beta[row * block_.gate_stride]);
    const float* value = block_.v + row * block_.v_stride + first_;
    for (int v = 0; v < VECTORS; ++v) {
      u_[v] = hn::Mul(beta, hn::Sub(hn::LoadU(Tag(), value + v * kStep), sums[v]));
      hn::StoreU(u_[v], Tag(), block_.u + row * block_.v_dim + first_ + v * kStep);
    }
  }

  HWY_INLINE void store_out(int64_t row, const Vec (&out)[VECTORS]) const {
    float* to = block_.out + row * block_.out_stride + first_;
    for (int v = 0; v < VECTORS; ++v) hn::StoreU(out[v], Tag(), to + v * kStep);
  }

  static HWY_INLINE void clear(Vec (&vectors)[VECTORS]) {
    for (int v = 0; v < VECTORS; ++v) vectors[v] = hn::Zero(Tag());
  }

  const GdnBlock& block_;
  int64_t first_;
  Vec u_[VECTORS];  // of the current row
};

void gdn_block(const GdnBlock& block) {
  constexpr int kVectorsAtOnce = 4;
  int64_t first = 0;
  for (; first + kVectorsAtOnce * kWidth <= block.columns; first += kVectorsAtOnce * kWidth) {
    GdnColumns<D, kVectorsAtOnce>(block, first).run();
  }
  for (; first + kWidth <= block.columns; first += kWidth) GdnColumns<D, 1>(block, first).run();
  for (; first < block.columns; ++first) {
    GdnColumns<hn::CappedTag<float, 1>, 1>(block, first).run();
  }
}

}  // namespace gallop::ops::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gallop::ops::simd {

HWY_EXPORT(gdn_block);

void gdn_block(const GdnBlock& block) { HWY_DYNAMIC_DISPATCH(gdn_block)(block); }

}  // namespace gallop::ops::simd
#endif
