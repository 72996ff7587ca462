#include "ops/cpu/simd.h"

#include <string>

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "ops/cpu/simd_linear.h"
#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"
#include "ops/testing/packed_weight.h"

namespace gallop::ops::testing {
namespace {

// Everything that the inner loops give for one set of inputs.
struct Results {
  TestTensor linear, dot, axpy, state, u, out;
};

Results compute(int64_t rows, int64_t columns, int64_t k, DType dtype) {
  Random random(static_cast<uint64_t>(rows + columns + k));
  const TestTensor x = TestTensor::normal(random, Shape{rows, k});
  TestTensor weight(dtype, Shape{columns, k});
  for (int64_t i = 0; i < weight.elements(); ++i) weight.set(i, random.normal());
  Results results{
      TestTensor(DType::kF32, Shape{rows, columns}), TestTensor(DType::kF32, Shape{1}),
      TestTensor::normal(random, Shape{k}),          TestTensor::normal(random, Shape{k, columns}),
      TestTensor(DType::kF32, Shape{columns}),       TestTensor(DType::kF32, Shape{columns})};
  const LinearPart part{.weight = FloatWeight{.weight = weight.view()}};
  simd::linear_block({.x = x.view().as<float>(),
                      .x_stride = k,
                      .rows = rows,
                      .part = &part,
                      .columns = columns,
                      .out = results.linear.view().as<float>(),
                      .out_stride = columns});
  const TestTensor key = TestTensor::normal(random, Shape{k});
  results.dot.set(0,
                  static_cast<double>(simd::dot(x.view().as<float>(), key.view().as<float>(), k)));
  simd::axpy(0.3f, key.view().as<float>(), results.axpy.view().as<float>(), k);
  const TestTensor value = TestTensor::normal(random, Shape{columns});
  simd::gdn_token(results.state.view().as<float>(), {.q = x.view().as<float>(),
                                                     .k = key.view().as<float>(),
                                                     .v = value.view().as<float>(),
                                                     .decay = 0.9f,
                                                     .beta = 0.7f,
                                                     .u = results.u.view().as<float>(),
                                                     .out = results.out.view().as<float>(),
                                                     .k_dim = k,
                                                     .v_dim = columns});
  EXPECT_TRUE(results.linear.guards_intact() && results.axpy.guards_intact() &&
              results.state.guards_intact() && results.u.guards_intact() &&
              results.out.guards_intact());
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
  for (const Case& c :
       {Case{1, 1, 1}, Case{3, 5, 17}, Case{5, 64, 48}, Case{2, 21, 128}, Case{9, 130, 31}}) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      const Results best = compute(c.rows, c.columns, c.k, dtype);
      for (const int64_t target : fused_targets()) {
        SCOPED_TRACE(hwy::TargetName(target));
        const OnlyTarget only(target);
        ASSERT_STREQ(simd::instruction_set(), hwy::TargetName(target));
        const Results other = compute(c.rows, c.columns, c.k, dtype);
        EXPECT_TRUE(same_bits(other.linear.view(), best.linear.view()));
        EXPECT_TRUE(same_bits(other.dot.view(), best.dot.view()));
        EXPECT_TRUE(same_bits(other.axpy.view(), best.axpy.view()));
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
      simd::linear_block({.x = x.view().as<float>(),
                          .x_stride = 50,
                          .rows = 3,
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
      for (const int64_t rows : {1, 5}) {
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

// Also where multiply-add is two operations.
TEST(Simd, FoldDoesToTheStateWhatTheTokenDid) {
  const int64_t supported = hwy::SupportedTargets();
  for (int64_t rest = supported & HWY_TARGETS; rest > 0; rest &= rest - 1) {
    SCOPED_TRACE(hwy::TargetName(rest & -rest));
    const OnlyTarget only(rest & -rest);
    for (const int64_t v_dim : {1, 7, 16, 65, 128}) {
      Random random(3);
      const TestTensor q = TestTensor::normal(random, Shape{33});
      const TestTensor k = TestTensor::normal(random, Shape{33});
      const TestTensor v = TestTensor::normal(random, Shape{v_dim});
      const TestTensor state = TestTensor::normal(random, Shape{33, v_dim});
      const TestTensor folded = state;
      const TestTensor u(DType::kF32, Shape{v_dim}), out(DType::kF32, Shape{v_dim});
      simd::gdn_token(state.view().as<float>(), {.q = q.view().as<float>(),
                                                 .k = k.view().as<float>(),
                                                 .v = v.view().as<float>(),
                                                 .decay = 0.3f,
                                                 .beta = 0.9f,
                                                 .u = u.view().as<float>(),
                                                 .out = out.view().as<float>(),
                                                 .k_dim = 33,
                                                 .v_dim = v_dim});
      simd::gdn_fold(folded.view().as<float>(), k.view().as<float>(), u.view().as<float>(), 0.3f,
                     33, v_dim);
      EXPECT_TRUE(same_bits(folded.view(), state.view())) << v_dim;
    }
  }
}

}  // namespace
}  // namespace gallop::ops::testing
