#include "ops/norm/norm.h"

#include <array>

#include <gtest/gtest.h>

#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"

namespace gallop::ops::testing {
namespace {

constexpr std::array<std::array<int64_t, 2>, 9> kShapes = {
    {{1, 1}, {1, 5}, {2, 16}, {3, 48}, {5, 64}, {16, 100}, {17, 256}, {64, 31}, {130, 128}}};

std::vector<Approx> rms_norm(const std::vector<Approx>& x, const TestTensor& weight,
                             double weight_offset, double eps) {
  const size_t width = static_cast<size_t>(weight.elements());
  std::vector<Approx> out;
  for (size_t begin = 0; begin < x.size(); begin += width) {
    DotProduct squares;
    for (size_t i = 0; i < width; ++i) squares.add(x[begin + i], x[begin + i]);
    const Approx mean = squares.sum() / Approx(static_cast<double>(width));
    const Approx scale = Approx(1) / sqrt(mean + Approx(eps));
    for (size_t i = 0; i < width; ++i) {
      const Approx factor = Approx(weight_offset) + weight.at(static_cast<int64_t>(i));
      out.push_back(x[begin + i] * scale * factor);
    }
  }
  return out;
}

std::vector<Approx> exact(const TestTensor& tensor) {
  const std::vector<double> values = tensor.values();
  return {values.begin(), values.end()};
}

TEST(RmsNorm, EqualsTheFormulaWithinItsBound) {
  for (const auto& [rows, width] : kShapes) {
    for (const float offset : {0.0f, 1.0f}) {
      for (const double scale : {1.0, 1e-4, 1e4}) {
        SCOPED_TRACE((Shape{rows, width}));
        Random random(static_cast<uint64_t>(rows * width));
        const TestTensor x = TestTensor::normal(random, Shape{rows, width}, scale);
        const TestTensor weight = TestTensor::normal(random, Shape{width});
        const TestTensor out(DType::kF32, Shape{rows, width});
        const float eps = 1e-6f;
        run(RmsNorm{out.view(), x.view(), weight.view(), offset, eps});
        EXPECT_TRUE(close(out.view(), rms_norm(exact(x), weight, static_cast<double>(offset),
                                               static_cast<double>(eps))));
        EXPECT_TRUE(out.guards_intact());
      }
    }
  }
}

TEST(RmsNorm, ARowOfZerosStaysZero) {
  const TestTensor x = TestTensor::of_floats(std::vector<float>(48, 0.0f));
  const TestTensor weight = TestTensor::of_floats(std::vector<float>(48, 2.0f));
  const TestTensor out(DType::kF32, Shape{1, 48});
  run(RmsNorm{out.view(), x.view().reshaped(Shape{1, 48}), weight.view(), 1, 1e-6f});
  EXPECT_EQ(out.values(), std::vector<double>(48, 0.0));
}

TEST(RmsNorm, RowsAndThreadsAndPlaceChangeNoBit) {
  for (const auto& [rows, width] : kShapes) {
    SCOPED_TRACE((Shape{rows, width}));
    Random random(3);
    const TestTensor x = TestTensor::normal(random, Shape{rows, width});
    const TestTensor weight = TestTensor::normal(random, Shape{width});
    const TestTensor all(DType::kF32, Shape{rows, width});
    run(RmsNorm{all.view(), x.view(), weight.view(), 1, 1e-6f});
    TestTensor out(DType::kF32, Shape{rows, width});
    run(RmsNorm{out.view(), x.view(), weight.view(), 1, 1e-6f}, 3);
    EXPECT_TRUE(same_bits(out.view(), all.view()));
    out.poison();
    for (int64_t row = 0; row < rows; ++row) {
      run(RmsNorm{out.view().rows(row, row + 1), x.view().rows(row, row + 1), weight.view(), 1,
                  1e-6f});
    }
    EXPECT_TRUE(same_bits(out.view(), all.view()));
    run(RmsNorm{x.view(), x.view(), weight.view(), 1, 1e-6f});
    EXPECT_TRUE(same_bits(x.view(), all.view()));
  }
}

TEST(AddRmsNorm, AddsThenNorms) {
  for (const auto& [rows, width] : kShapes) {
    SCOPED_TRACE((Shape{rows, width}));
    Random random(5);
    const TestTensor residual = TestTensor::normal(random, Shape{rows, width});
    const TestTensor delta = TestTensor::normal(random, Shape{rows, width}, 0.1);
    const TestTensor weight = TestTensor::normal(random, Shape{width});
    std::vector<Approx> sum;
    for (int64_t i = 0; i < residual.elements(); ++i) {
      sum.push_back(Approx(residual.at(i)) + delta.at(i));
    }
    const TestTensor out(DType::kF32, Shape{rows, width});
    run(AddRmsNorm{residual.view(), delta.view(), out.view(), weight.view(), 1, 1e-5f}, 2);
    EXPECT_TRUE(close(residual.view(), sum));
    EXPECT_TRUE(close(out.view(), rms_norm(sum, weight, 1, static_cast<double>(1e-5f))));
    EXPECT_TRUE(out.guards_intact() && residual.guards_intact());

    const TestTensor normed(DType::kF32, Shape{rows, width});
    run(RmsNorm{normed.view(), residual.view(), weight.view(), 1, 1e-5f});
    EXPECT_TRUE(same_bits(out.view(), normed.view()));
  }
}

struct Heads {
  int64_t rows;
  int64_t heads;
  int64_t width;
};

constexpr std::array<Heads, 6> kHeads = {
    {{1, 1, 1}, {2, 3, 16}, {5, 2, 33}, {17, 4, 16}, {3, 6, 128}, {64, 2, 128}}};

TEST(GatedRmsNorm, EqualsTheFormulaWithinItsBound) {
  for (const Heads& heads : kHeads) {
    for (const Layout layout : {Layout::kContiguous, Layout::kStridedRows}) {
      const Shape shape{heads.rows, heads.heads, heads.width};
      SCOPED_TRACE(shape);
      Random random(7);
      const TestTensor x = TestTensor::normal(random, shape);
      const TestTensor gate = TestTensor::normal(random, shape, 3, layout);
      const TestTensor weight = TestTensor::normal(random, Shape{heads.width});
      std::vector<Approx> expected = rms_norm(exact(x), weight, 0, static_cast<double>(1e-6f));
      for (int64_t i = 0; i < gate.elements(); ++i) {
        Approx& value = expected[static_cast<size_t>(i)];
        value = value * silu(gate.at(i));
      }
      const TestTensor out(DType::kF32, shape);
      run(GatedRmsNorm{out.view(), x.view(), gate.view(), weight.view(), 1e-6f}, 2);
      EXPECT_TRUE(close(out.view(), expected));
      EXPECT_TRUE(out.guards_intact() && gate.guards_intact());
      run(GatedRmsNorm{x.view(), x.view(), gate.view(), weight.view(), 1e-6f});
      EXPECT_TRUE(same_bits(x.view(), out.view()));
    }
  }
}

TEST(GatedRmsNorm, LargeGatesAreFinite) {
  const TestTensor x = TestTensor::of_floats({1.0f, -2.0f, 3.0f, 4.0f});
  const TestTensor gate = TestTensor::of_floats({-1e4f, 1e4f, -200.0f, 200.0f});
  const TestTensor weight = TestTensor::of_floats({1.0f, 1.0f, 1.0f, 1.0f});
  const TestTensor out(DType::kF32, Shape{1, 1, 4});
  const Shape shape{1, 1, 4};
  run(GatedRmsNorm{out.view(), x.view().reshaped(shape), gate.view().reshaped(shape), weight.view(),
                   1e-6f});
  EXPECT_EQ(out.at(0), 0);
  EXPECT_LT(out.at(1), -1e3);
  EXPECT_EQ(out.at(2), 0);
  EXPECT_GT(out.at(3), 100);
}

}  // namespace
}  // namespace gallop::ops::testing
