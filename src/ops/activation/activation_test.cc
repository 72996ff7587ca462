#include "ops/activation/activation.h"

#include <gtest/gtest.h>

#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"

namespace gallop::ops::testing {
namespace {

TEST(SiluMul, EqualsTheFormulaWithinItsBound) {
  for (const int64_t rows : {1, 2, 3, 5, 16, 17, 64, 130}) {
    for (const int64_t width : {1, 7, 48, 256}) {
      SCOPED_TRACE((Shape{rows, width}));
      Random random(1);
      const TestTensor gate_up = TestTensor::normal(random, Shape{rows, 2 * width}, 4);
      std::vector<Approx> expected;
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t i = 0; i < width; ++i) {
          const Approx gate = gate_up.at(row * 2 * width + i);
          expected.push_back(silu(gate) * gate_up.at(row * 2 * width + width + i));
        }
      }
      const TestTensor out(DType::kF32, Shape{rows, width});
      run(SiluMul{out.view(), gate_up.view()}, 2);
      EXPECT_TRUE(close(out.view(), expected));
      EXPECT_TRUE(out.guards_intact());
      const TestTensor last(DType::kF32, Shape{1, width});
      run(SiluMul{last.view(), gate_up.view().rows(rows - 1, rows)});
      EXPECT_TRUE(same_bits(last.view(), out.view().rows(rows - 1, rows)));
    }
  }
}

TEST(SiluMul, ExtremeGatesAreFinite) {
  const TestTensor gate_up = TestTensor::of_floats(
      {-1e30f, -104.0f, -88.0f, 0.0f, 88.0f, 104.0f, 1e30f, 1, 1, 1, 1, 1, 1, 1});
  const TestTensor out(DType::kF32, Shape{1, 7});
  run(SiluMul{out.view(), gate_up.view().reshaped(Shape{1, 14})});
  const std::vector<double> values = out.values();
  EXPECT_EQ(values[0], 0);
  EXPECT_EQ(values[3], 0);
  EXPECT_EQ(values[5], 104);
  EXPECT_EQ(values[6], static_cast<double>(1e30f));
  EXPECT_LE(std::abs(values[1]), 1e-40);
}

TEST(SigmoidMul, EqualsTheFormulaWithinItsBound) {
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{2, 3, 5}, Shape{5, 4, 16}, Shape{17, 2, 128},
                             Shape{3, 6, 256}, Shape{130, 1, 48}}) {
    for (const Layout layout : {Layout::kContiguous, Layout::kStridedRows, Layout::kStridedInner}) {
      SCOPED_TRACE(shape);
      Random random(2);
      const TestTensor x = TestTensor::normal(random, shape);
      const TestTensor gate = TestTensor::normal(random, shape, 4, layout);
      std::vector<Approx> expected;
      for (int64_t i = 0; i < x.elements(); ++i) {
        expected.push_back(Approx(x.at(i)) * sigmoid(gate.at(i)));
      }
      run(SigmoidMul{x.view(), gate.view()}, 3);
      EXPECT_TRUE(close(x.view(), expected));
      EXPECT_TRUE(x.guards_intact() && gate.guards_intact());
    }
  }
}

TEST(SigmoidMul, ExtremeGatesAreFinite) {
  const TestTensor x = TestTensor::of_floats({3.0f, 3.0f, 3.0f});
  const TestTensor gate = TestTensor::of_floats({-1e30f, 0.0f, 1e30f});
  const Shape shape{1, 1, 3};
  run(SigmoidMul{x.view().reshaped(shape), gate.view().reshaped(shape)});
  EXPECT_EQ(x.values(), (std::vector<double>{0, 1.5, 3}));
}

}  // namespace
}  // namespace gallop::ops::testing
