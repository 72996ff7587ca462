#include "ops/cpu/simd.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "ops/cpu/simd_attention.h"
#include "ops/cpu/simd_gdn.h"
#include "ops/cpu/simd_linear.h"
#include "ops/cpu/simd_weighted_sum.h"
#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"
#include "ops/testing/packed_weight.h"

namespace gallop::ops::testing {
namespace {

// Everything that the inner loops give for one set of inputs.
struct Results {
  TestTensor linear, dot, state, u, out, gated, attention;
};

// Weights from one row's scores, and values that are the rows of x, twice.
void attend(Results& results, const TestTensor& x, const TestTensor& scores) {
  const int64_t rows = x.view().extent(0);
  const int64_t k = x.view().extent(1);
  std::vector<float> weights(scores.view().as<float>(), scores.view().as<float>() + k);
  const float best = simd::scale_and_max(weights.data(), k, 0.7f, -1.0f);
  const std::vector<float> fade(static_cast<size_t>(rows),
                                simd::exp_and_sum(weights.data(), k, best));
  std::vector<const float*> values;
  for (int64_t key = 0; key < k; ++key) values.push_back(x.view().row<const float>(key % rows));
  simd::add_weighted_sum({.out = results.attention.view().as<float>(),
                          .out_stride = k,
                          .rows = rows,
                          .dim = k,
                          .fade = fade.data(),
                          .weights = weights.data(),
                          .weights_stride = 0,
                          .values = values.data(),
                          .terms = k});
}

Results compute(int64_t rows, int64_t columns, int64_t k, DType dtype) {
  Random random(static_cast<uint64_t>(rows + columns + k));
  const TestTensor x = TestTensor::normal(random, Shape{rows, k});
  TestTensor weight(dtype, Shape{columns, k});
  for (int64_t i = 0; i < weight.elements(); ++i) weight.set(i, random.normal());
  Results results{
      TestTensor(DType::kF32, Shape{rows, columns}), TestTensor(DType::kF32, Shape{1}),
      TestTensor::normal(random, Shape{k, columns}), TestTensor(DType::kF32, Shape{columns}),
      TestTensor(DType::kF32, Shape{columns}),       TestTensor::normal(random, Shape{k}),
      TestTensor::normal(random, Shape{rows, k})};
  const LinearPart part{.weight = FloatWeight{.weight = weight.view()}};
  simd::LinearInputs inputs(rows, k);
  for (int64_t row = 0; row < rows; ++row) inputs.set(row, x.view().row<const float>(row));
  simd::linear_block({.inputs = &inputs,
                      .part = &part,
                      .columns = columns,
                      .out = results.linear.view().as<float>(),
                      .out_stride = columns});
  const TestTensor key = TestTensor::normal(random, Shape{k});
  results.dot.set(0,
                  static_cast<double>(simd::dot(x.view().as<float>(), key.view().as<float>(), k)));
  simd::sigmoid_mul(key.view().as<float>(), results.gated.view().as<float>(), k);
  simd::silu_mul(results.gated.view().as<float>(), key.view().as<float>(),
                 results.gated.view().as<float>(), k);
  attend(results, x, key);
  const TestTensor value = TestTensor::normal(random, Shape{columns});
  const TestTensor scratch(DType::kF32, Shape{k, simd::kGdnColumns});
  for (int64_t column = 0; column < columns; column += simd::kGdnColumns) {
    const float decay = 0.9f, beta = 0.7f;
    simd::gdn_block({.state = results.state.view().as<float>() + column,
                     .k_dim = k,
                     .v_dim = columns,
                     .columns = std::min(columns - column, simd::kGdnColumns),
                     .keep = true,
                     .rows = 1,
                     .q = x.view().as<float>(),
                     .k = key.view().as<float>(),
                     .v = value.view().as<float>() + column,
                     .decay = &decay,
                     .beta = &beta,
                     .u = results.u.view().as<float>() + column,
                     .out = results.out.view().as<float>() + column,
                     .scratch = scratch.view().as<float>()});
  }
  EXPECT_TRUE(results.linear.guards_intact() && results.gated.guards_intact() &&
              results.attention.guards_intact() && results.state.guards_intact() &&
              results.u.guards_intact() && results.out.guards_intact());
  return results;
}

// Makes `target` the best instruction set there is, while it lives.
class OnlyTarget {
 public:
  explicit OnlyTarget(int64_t target) { choose(target); }
  ~OnlyTarget() { choose(0); }
  OnlyTarget(const OnlyTarget&) = delete;
  OnlyTarget& operator=(const OnlyTarget&) = delete;

 private:
  static void choose(int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

// The compiled instruction sets with fused multiply-add that this machine has.
std::vector<int64_t> fused_targets() {
  std::vector<int64_t> targets;
  const int64_t supported = hwy::SupportedTargets();
  for (int64_t rest = supported; rest > 0; rest &= rest - 1) {
    const int64_t target = rest & -rest;
    const std::string name = hwy::TargetName(target);
    const bool fused = name.starts_with("AVX") || name.starts_with("NEON");
    if (fused && (HWY_TARGETS & target) != 0) targets.push_back(target);
  }
  return targets;
}

TEST(Simd, InstructionSetsWithFusedMultiplyAddAgreeInEveryBit) {
  struct Case {
    int64_t rows, columns, k;
  };
  for (const Case& c : {Case{1, 1, 1}, Case{3, 5, 17}, Case{5, 64, 48}, Case{2, 21, 128},
                        Case{9, 130, 31}, Case{24, 25, 800}, Case{140, 13, 40}}) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      const Results best = compute(c.rows, c.columns, c.k, dtype);
      for (const int64_t target : fused_targets()) {
        SCOPED_TRACE(hwy::TargetName(target));
        const OnlyTarget only(target);
        ASSERT_STREQ(simd::instruction_set(), hwy::TargetName(target));
        const Results other = compute(c.rows, c.columns, c.k, dtype);
        EXPECT_TRUE(same_bits(other.linear.view(), best.linear.view()));
        EXPECT_TRUE(same_bits(other.dot.view(), best.dot.view()));
        EXPECT_TRUE(same_bits(other.gated.view(), best.gated.view()));
        EXPECT_TRUE(same_bits(other.attention.view(), best.attention.view()));
        EXPECT_TRUE(same_bits(other.state.view(), best.state.view()));
        EXPECT_TRUE(same_bits(other.u.view(), best.u.view()));
        EXPECT_TRUE(same_bits(other.out.view(), best.out.view()));
      }
    }
  }
}

// Subnormal halves included, which the older sets widen in software.
TEST(Simd, EveryInstructionSetKeepsTheBound) {
  const int64_t supported = hwy::SupportedTargets();
  for (int64_t rest = supported & HWY_TARGETS; rest > 0; rest &= rest - 1) {
    SCOPED_TRACE(hwy::TargetName(rest & -rest));
    const OnlyTarget only(rest & -rest);
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      Random random(4);
      const TestTensor x = TestTensor::normal(random, Shape{3, 50});
      TestTensor weight(dtype, Shape{7, 50});
      for (int64_t i = 0; i < weight.elements(); ++i) {
        weight.set(i, random.normal() * (i % 3 == 0 ? 1e-6 : 1));
      }
      std::vector<Approx> expected;
      for (int64_t i = 0; i < 21; ++i) {
        DotProduct dot;
        for (int64_t j = 0; j < 50; ++j) dot.add(x.at(i / 7 * 50 + j), weight.at(i % 7 * 50 + j));
        expected.push_back(dot.sum());
      }
      const TestTensor out(DType::kF32, Shape{3, 7});
      const LinearPart part{.weight = FloatWeight{.weight = weight.view()}};
      simd::LinearInputs inputs(3, 50);
      for (int64_t row = 0; row < 3; ++row) inputs.set(row, x.view().row<const float>(row));
      simd::linear_block({.inputs = &inputs,
                          .part = &part,
                          .columns = 7,
                          .out = out.view().as<float>(),
                          .out_stride = 7});
      EXPECT_TRUE(close(out.view(), expected)) << dtype_name(dtype);
    }
  }
}

// Packed weights are the floats that they stand for, on every instruction set: unpacking is checked
// against plain decoding, bit for bit, for one row and for several.
TEST(Simd, PackedWeightsAreUnpackedExactly) {
  const int64_t supported = hwy::SupportedTargets();
  for (int64_t rest = supported & HWY_TARGETS; rest > 0; rest &= rest - 1) {
    SCOPED_TRACE(hwy::TargetName(rest & -rest));
    const OnlyTarget only(rest & -rest);
    for (const PackedKind kind : kPackedKinds) {
      for (const int64_t rows : {1, 5, 24}) {
        Random random(6);
        const PackedWeight weight(kind, 29, 272, random);
        const TestTensor x = TestTensor::normal(random, Shape{rows, 272});
        const LinearWeight packed{.parts = {weight.part()}};
        const LinearWeight twin{.parts = {weight.unscaled()}};
        TestTensor expected = linear(x.view(), twin);
        weight.scale_outputs(expected);
        EXPECT_TRUE(same_bits(linear(x.view(), packed).view(), expected.view()))
            << name_of(kind) << ", " << rows << " rows";
      }
    }
  }
}

// Runs `body` with each instruction set that this machine has as the best one.
template <class Body>
void on_every_target(const Body& body) {
  const int64_t supported = hwy::SupportedTargets();
  for (int64_t rest = supported & HWY_TARGETS; rest > 0; rest &= rest - 1) {
    SCOPED_TRACE(hwy::TargetName(rest & -rest));
    const OnlyTarget only(rest & -rest);
    body();
  }
}

// Ties, NaN and -inf at every place of a vector and behind the last whole one.
TEST(Simd, ArgmaxIsTheFirstOfTheLargest) {
  constexpr float kValues[] = {-INFINITY, NAN, -1, 0, -0.0f, 2, 2};
  on_every_target([&] {
    Random random(8);
    for (int round = 0; round < 400; ++round) {
      const int64_t kinds = 1 + random.below(7);
      std::vector<float> x(static_cast<size_t>(1 + random.below(40)));
      for (float& value : x) value = kValues[random.below(kinds)];
      size_t best = 0;
      for (size_t i = 1; i < x.size(); ++i) {
        if (x[i] > x[best] || (std::isnan(x[best]) && x[i] > -INFINITY)) best = i;
      }
      if (std::isnan(x[best])) best = 0;
      ASSERT_EQ(simd::argmax(x.data(), static_cast<int64_t>(x.size())), best) << round;
    }
  });
}

// Angles as large as positions get, multiples of a quarter turn included. The result is that of
// f64, rounded once more: half a unit in the last place, and as much again for the rounding of an
// f64 that lies near the middle.
TEST(Simd, CosinesAndSinesOfLargeAnglesAreRoundedOnce) {
  on_every_target([] {
    Random random(9);
    for (const int32_t position : {0, 1, 2, 3, 11, 4097, 262143, 16777215}) {
      std::vector<float> frequencies = {1, 0x1.921fb6p0f, 0x1.921fb6p+1f, 0.5f, 1e-7f};
      for (int i = 0; i < 24; ++i) {
        frequencies.push_back(static_cast<float>(random.uniform(0, 1)));
      }
      const auto n = static_cast<int64_t>(frequencies.size());
      std::vector<float> cosines(frequencies.size()), sines(frequencies.size());
      simd::cosines_and_sines(frequencies.data(), position, cosines.data(), sines.data(), n);
      for (size_t i = 0; i < frequencies.size(); ++i) {
        const double angle = static_cast<float>(position) * frequencies[i];
        const auto close_to = [](double actual, double expected) {
          return std::abs(actual - expected) <= 0x1.01p-24 * std::abs(expected) + 1e-15;
        };
        EXPECT_TRUE(close_to(cosines[i], std::cos(angle))) << angle;
        EXPECT_TRUE(close_to(sines[i], std::sin(angle))) << angle;
      }
    }
  });
}

// Inputs of some rows of one head, and what became of its state.
struct GdnRun {
  static constexpr int64_t kDim = 33;
  int64_t rows, v_dim;
  TestTensor q, k, v, decay, beta, state, u, out;

  GdnRun(int64_t num_rows, int64_t columns, Random& random)
      : rows(num_rows),
        v_dim(columns),
        q(TestTensor::normal(random, Shape{rows, kDim})),
        k(TestTensor::normal(random, Shape{rows, kDim})),
        v(TestTensor::normal(random, Shape{rows, v_dim})),
        decay(DType::kF32, Shape{rows}),
        beta(DType::kF32, Shape{rows}),
        state(TestTensor::normal(random, Shape{kDim, v_dim})),
        u(DType::kF32, Shape{rows, v_dim}),
        out(DType::kF32, Shape{rows, v_dim}) {
    for (int64_t row = 0; row < rows; ++row) {
      decay.set(row, random.uniform(0.2, 1));
      beta.set(row, random.uniform(0, 1));
    }
  }

  // Rows [begin, end); the first `fold` rows are taken in before.
  void run(int64_t begin, int64_t end, int64_t fold, bool keep) const {
    const TestTensor scratch(DType::kF32, Shape{kDim, simd::kGdnColumns});
    for (int64_t column = 0; column < v_dim; column += simd::kGdnColumns) {
      simd::gdn_block({.state = state.view().as<float>() + column,
                       .k_dim = kDim,
                       .v_dim = v_dim,
                       .columns = std::min(v_dim - column, simd::kGdnColumns),
                       .keep = keep,
                       .fold = fold,
                       .fold_k = k.view().as<float>(),
                       .fold_u = u.view().as<float>() + column,
                       .fold_decay = decay.view().as<float>(),
                       .rows = end - begin,
                       .q = q.view().row<float>(begin),
                       .k = k.view().row<float>(begin),
                       .qk_stride = kDim,
                       .v = v.view().row<float>(begin) + column,
                       .v_stride = v_dim,
                       .decay = decay.view().as<float>() + begin,
                       .beta = beta.view().as<float>() + begin,
                       .gate_stride = 1,
                       .u = u.view().row<float>(begin) + column,
                       .out = out.view().row<float>(begin) + column,
                       .out_stride = v_dim,
                       .scratch = scratch.view().as<float>()});
    }
  }
};

// Also where multiply-add is two operations.
TEST(Simd, FoldDoesToTheStateWhatTheRowsDid) {
  const int64_t supported = hwy::SupportedTargets();
  for (int64_t rest = supported & HWY_TARGETS; rest > 0; rest &= rest - 1) {
    SCOPED_TRACE(hwy::TargetName(rest & -rest));
    const OnlyTarget only(rest & -rest);
    for (const int64_t v_dim : {1, 7, 16, 65, 128}) {
      Random random(3);
      const GdnRun kept(5, v_dim, random);
      const GdnRun folded = kept;
      kept.run(0, 5, 0, true);
      folded.run(0, 4, 0, false);  // leaves the state alone
      folded.run(4, 5, 4, true);
      EXPECT_TRUE(same_bits(folded.state.view(), kept.state.view())) << v_dim;
      EXPECT_TRUE(same_bits(folded.out.view(), kept.out.view())) << v_dim;
      EXPECT_TRUE(same_bits(folded.u.view(), kept.u.view())) << v_dim;
    }
  }
}

}  // namespace
}  // namespace gallop::ops::testing
