// Linear over packed weights equals Linear over the floats that they stand for, bit for bit; what
// holds for floats (linear_test.cc) then holds for them.
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "ops/linear/linear.h"
#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"
#include "ops/testing/packed_weight.h"

namespace gallop::ops::testing {
namespace {

struct PackedShape {
  int64_t rows;
  int64_t n;
  int64_t k;
};

// Smallest, odd and real widths; NVFP4 leaves out those whose k is no multiple of 16.
constexpr std::array<PackedShape, 11> kShapes = {{{1, 1, 16},
                                                  {2, 3, 5},
                                                  {3, 48, 32},
                                                  {1, 131, 400},
                                                  {7, 131, 272},
                                                  {130, 25, 48},
                                                  {1, 300, 129},
                                                  {5, 140, 130},
                                                  {1, 5, 5120},
                                                  {6, 5, 5120},
                                                  {1, 3, 32784}}};

bool fits(PackedKind kind, int64_t k) {
  return k % 16 == 0 || (kind != PackedKind::kNvfp4 && kind != PackedKind::kNvfp4Inverse);
}

TestTensor expected(const PackedWeight& weight, const TensorView& x) {
  TestTensor out = linear(x, {.parts = {weight.unscaled()}});
  weight.scale_outputs(out);
  return out;
}

TEST(LinearPacked, EqualsTheFloatsItStandsFor) {
  for (const PackedKind kind : kPackedKinds) {
    for (const PackedShape& shape : kShapes) {
      if (!fits(kind, shape.k)) continue;
      SCOPED_TRACE((Shape{shape.rows, shape.n, shape.k}));
      Random random(31);
      const PackedWeight weight(kind, shape.n, shape.k, random);
      const TestTensor x = TestTensor::normal(random, Shape{shape.rows, shape.k});
      for (const int threads : {1, 3}) {
        const TestTensor out = linear(x.view(), {.parts = {weight.part()}}, threads);
        EXPECT_TRUE(same_bits(out.view(), expected(weight, x.view()).view())) << name_of(kind);
      }
    }
  }
}

// The scale of an input is multiplied with the input, whatever the weight's kind and the number of
// rows.
TEST(LinearPacked, InputScalesMultiplyTheInputs) {
  for (const PackedShape& shape : kShapes) {
    SCOPED_TRACE((Shape{shape.rows, shape.n, shape.k}));
    Random random(37);
    const TestTensor x = TestTensor::normal(random, Shape{shape.rows, shape.k});
    const TestTensor scale = TestTensor::normal(random, Shape{shape.k});
    TestTensor scaled(DType::kF32, x.view().shape());
    for (int64_t i = 0; i < x.elements(); ++i) scaled.set(i, x.at(i) * scale.at(i % shape.k));
    for (const PackedKind kind : kPackedKinds) {
      if (!fits(kind, shape.k)) continue;
      const PackedWeight weight(kind, shape.n, shape.k, random);
      for (LinearPart part : {weight.part(), weight.unscaled()}) {
        const TestTensor without = linear(scaled.view(), {.parts = {part}});
        part.input_scale = scale.view();
        const TestTensor with = linear(x.view(), {.parts = {part}});
        EXPECT_TRUE(same_bits(with.view(), without.view())) << name_of(kind);
      }
    }
  }
}

// A stack of all kinds, two of which have scales for their inputs.
TEST(LinearPacked, PartsOfAllKindsStandSideBySide) {
  constexpr int64_t kInputs = 144;
  for (const int64_t rows : {1, 9}) {
    Random random(41);
    const TestTensor x = TestTensor::normal(random, Shape{rows, kInputs});
    const TestTensor scale = TestTensor::normal(random, Shape{kInputs});
    std::vector<PackedWeight> weights;
    for (const PackedKind kind : kPackedKinds) {
      weights.emplace_back(kind, 7 + 20 * static_cast<int64_t>(weights.size()), kInputs, random);
    }
    LinearWeight stacked;
    for (const PackedWeight& weight : weights) stacked.parts.push_back(weight.part());
    stacked.parts.push_back(weights[2].unscaled());
    stacked.parts[0].input_scale = scale.view();
    stacked.parts[5].input_scale = scale.view();
    const TestTensor out = linear(x.view(), stacked, 2);
    int64_t column = 0;
    for (const LinearPart& part : stacked.parts) {
      const TestTensor alone = linear(x.view(), {.parts = {part}});
      EXPECT_TRUE(same_bits(out.view().columns(column, column + part.n()), alone.view()))
          << "from column " << column << " of " << rows << " rows";
      column += part.n();
    }
  }
}

TEST(LinearPackedDeathTest, ScalesThatDoNotFitAreRefused) {
  Random random(43);
  const PackedWeight weight(PackedKind::kNvfp4, 4, 32, random);
  LinearPart part = weight.part();
  auto& packed = std::get<Nvfp4Weight>(part.weight);
  packed.scales = packed.scales.rows(0, 3);
  const TestTensor x(DType::kF32, Shape{1, 32});
  const TestTensor out(DType::kF32, Shape{1, 4});
  const LinearWeight bad{.parts = {part}};
  EXPECT_DEATH(run(Linear{.out = out.view(), .x = x.view(), .weight = &bad}), "\\[3, 2\\]");
}

}  // namespace
}  // namespace gallop::ops::testing
