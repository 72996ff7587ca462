#include "ops/linear/linear.h"

#include <array>
#include <cmath>

#include <gtest/gtest.h>

#include "ops/cpu/simd.h"
#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"
#include "ops/testing/packed_weight.h"

namespace gallop::ops::testing {
namespace {

struct LinearShape {
  int64_t rows;
  int64_t n;
  int64_t k;
};

// Smallest, odd, and widths of real models; k below, at, and beside multiples of 16.
constexpr std::array<LinearShape, 13> kShapes = {{{1, 1, 1},
                                                  {2, 3, 5},
                                                  {3, 17, 16},
                                                  {5, 48, 48},
                                                  {16, 64, 64},
                                                  {17, 33, 100},
                                                  {64, 96, 256},
                                                  {130, 50, 48},
                                                  {2, 16, 31},
                                                  {1, 300, 1000},
                                                  {129, 7, 129},
                                                  {4, 4, 5120},
                                                  {24, 25, 800}}};

// Weights that F32, BF16 and F16 all hold exactly: seven bits, some of them subnormal in F16.
TestTensor exact_weight(DType dtype, int64_t n, int64_t k, uint64_t seed) {
  Random random(seed);
  TestTensor weight(dtype, Shape{n, k});
  for (int64_t i = 0; i < n * k; ++i) {
    const double scale = random.below(20) == 0 ? 0x1p-24 : 0x1p-7;
    weight.set(i, static_cast<double>(random.below(255) - 127) * scale);
  }
  return weight;
}

LinearPart float_part(const TestTensor& weight) {
  return {.weight = FloatWeight{.weight = weight.view()}};
}

LinearWeight one_part(const TestTensor& weight) { return {.parts = {float_part(weight)}}; }

std::vector<Approx> reference(const TestTensor& x, const TestTensor& weight) {
  const int64_t k = weight.view().extent(1);
  std::vector<Approx> out;
  for (int64_t row = 0; row < x.view().extent(0); ++row) {
    for (int64_t j = 0; j < weight.view().extent(0); ++j) {
      DotProduct dot;
      for (int64_t i = 0; i < k; ++i) dot.add(x.at(row * k + i), weight.at(j * k + i));
      out.push_back(dot.sum());
    }
  }
  return out;
}

// The chain that the contract fixes, operation by operation; instruction sets without fused
// multiply-add round the product as well.
float contract_chain(const float* x, const float* weight, int64_t k, bool fused) {
  std::array<float, 8> lanes = {};
  for (int64_t i = 0; i < k; ++i) {
    float& lane = lanes[static_cast<size_t>(i % 16 / 2)];
    lane = fused ? std::fma(x[i], weight[i], lane) : x[i] * weight[i] + lane;
  }
  for (size_t half = 4; half > 0; half /= 2) {
    for (size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

TEST(Linear, EqualsTheFormulaWithinItsBound) {
  for (const LinearShape& shape : kShapes) {
    SCOPED_TRACE((Shape{shape.rows, shape.n, shape.k}));
    Random random(static_cast<uint64_t>(shape.k));
    const TestTensor x = TestTensor::normal(random, Shape{shape.rows, shape.k});
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      TestTensor weight(dtype, Shape{shape.n, shape.k});
      for (int64_t i = 0; i < weight.elements(); ++i) weight.set(i, random.normal());
      EXPECT_TRUE(close(linear(x.view(), one_part(weight)).view(), reference(x, weight)))
          << dtype_name(dtype);
    }
  }
}

TEST(Linear, SumsInTheOrderOfTheContract) {
  const bool fused = simd::has_fused_multiply_add();
  for (const LinearShape& shape : kShapes) {
    SCOPED_TRACE((Shape{shape.rows, shape.n, shape.k}));
    Random random(7);
    const TestTensor x = TestTensor::normal(random, Shape{shape.rows, shape.k});
    const TestTensor weight = TestTensor::normal(random, Shape{shape.n, shape.k});
    TestTensor expected(DType::kF32, Shape{shape.rows, shape.n});
    for (int64_t i = 0; i < expected.elements(); ++i) {
      expected.set(i, static_cast<double>(contract_chain(
                          x.view().row<const float>(i / shape.n),
                          weight.view().row<const float>(i % shape.n), shape.k, fused)));
    }
    EXPECT_TRUE(same_bits(linear(x.view(), one_part(weight)).view(), expected.view()));
  }
}

TEST(Linear, EqualWeightsOfAnyTypeGiveEqualBits) {
  for (const LinearShape& shape : kShapes) {
    SCOPED_TRACE((Shape{shape.rows, shape.n, shape.k}));
    Random random(11);
    const TestTensor x = TestTensor::normal(random, Shape{shape.rows, shape.k});
    const TestTensor f32 = exact_weight(DType::kF32, shape.n, shape.k, 3);
    const TestTensor expected = linear(x.view(), one_part(f32));
    for (const DType dtype : {DType::kBF16, DType::kF16}) {
      const TestTensor weight = exact_weight(dtype, shape.n, shape.k, 3);
      ASSERT_EQ(weight.values(), f32.values());
      EXPECT_TRUE(same_bits(linear(x.view(), one_part(weight)).view(), expected.view()))
          << dtype_name(dtype);
    }
  }
}

TEST(Linear, ARowDependsOnNoOtherRow) {
  for (const LinearShape& shape : kShapes) {
    SCOPED_TRACE((Shape{shape.rows, shape.n, shape.k}));
    Random random(13);
    const TestTensor x = TestTensor::normal(random, Shape{shape.rows, shape.k});
    const TestTensor weight = exact_weight(DType::kBF16, shape.n, shape.k, 5);
    const TestTensor all = linear(x.view(), one_part(weight));
    for (int64_t begin = 0; begin < shape.rows;) {
      const int64_t end = std::min(shape.rows, begin + 1 + random.below(3) * random.below(9));
      const TestTensor some = linear(x.view().rows(begin, end), one_part(weight));
      EXPECT_TRUE(same_bits(some.view(), all.view().rows(begin, end))) << begin << " to " << end;
      begin = end;
    }
  }
}

TEST(Linear, ThreadsChangeNoBit) {
  for (const LinearShape& shape : {LinearShape{1, 2000, 777}, LinearShape{130, 515, 100}}) {
    Random random(17);
    const TestTensor x = TestTensor::normal(random, Shape{shape.rows, shape.k});
    const TestTensor weight = exact_weight(DType::kBF16, shape.n, shape.k, 7);
    const TestTensor one = linear(x.view(), one_part(weight), 1);
    for (const int threads : {2, 3}) {
      EXPECT_TRUE(same_bits(linear(x.view(), one_part(weight), threads).view(), one.view()))
          << threads << " threads";
    }
  }
}

TEST(Linear, PartsStandSideBySide) {
  Random random(19);
  const int64_t k = 48;
  const TestTensor x = TestTensor::normal(random, Shape{5, k});
  const TestTensor first = exact_weight(DType::kBF16, 33, k, 1);
  const TestTensor second = exact_weight(DType::kF32, 1, k, 2);
  const TestTensor third = exact_weight(DType::kF16, 20, k, 3);
  const LinearWeight stacked{.parts = {float_part(first), float_part(second), float_part(third)}};
  const TestTensor out = linear(x.view(), stacked, 2);
  EXPECT_TRUE(same_bits(out.view().columns(0, 33), linear(x.view(), one_part(first)).view()));
  EXPECT_TRUE(same_bits(out.view().columns(33, 34), linear(x.view(), one_part(second)).view()));
  EXPECT_TRUE(same_bits(out.view().columns(34, 54), linear(x.view(), one_part(third)).view()));
}

TEST(LinearDeathTest, ShapesThatDisagreeAreRefused) {
  const TestTensor x(DType::kF32, Shape{2, 15});
  const TestTensor out(DType::kF32, Shape{2, 3});
  const TestTensor matrix(DType::kF32, Shape{3, 16});
  const LinearWeight weight = one_part(matrix);
  EXPECT_DEATH(run(Linear{.out = out.view(), .x = x.view(), .weight = &weight}), "15 vs 16");
}

}  // namespace
}  // namespace gallop::ops::testing
