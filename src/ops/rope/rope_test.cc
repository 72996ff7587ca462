#include "ops/rope/rope.h"

#include <cmath>

#include <gtest/gtest.h>

#include "ops/norm/norm.h"
#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"

namespace gallop::ops::testing {
namespace {

struct RopeCase {
  int64_t rows;
  int64_t heads;
  int64_t dim;
  int32_t rotary;
  float theta;
  float offset;
};

const std::vector<RopeCase> kCases = {{1, 1, 2, 2, 1e4f, 0},    {2, 3, 16, 4, 1e7f, 1},
                                      {5, 4, 16, 16, 1e4f, 0},  {17, 2, 128, 128, 1e6f, 0},
                                      {3, 6, 256, 64, 1e7f, 1}, {64, 1, 48, 12, 1e7f, 1},
                                      {130, 2, 32, 16, 1e5f, 1}};

TestTensor some_positions(Random& random, int64_t rows) {
  std::vector<int32_t> positions = {0, 262143, 1, 4097, 100};
  while (static_cast<int64_t>(positions.size()) < rows) {
    positions.push_back(static_cast<int32_t>(random.below(300000)));
  }
  positions.resize(static_cast<size_t>(rows));
  return TestTensor::of_ints(positions);
}

NormRope op_of(const RopeCase& c, const TestTensor& out, const TestTensor& x,
               const TestTensor& weight, const TestTensor& positions) {
  return {.out = out.view(),
          .x = x.view(),
          .weight = weight.view(),
          .positions = positions.view(),
          .weight_offset = c.offset,
          .eps = 1e-6f,
          .theta = c.theta,
          .rotary_dim = c.rotary};
}

// The angle's factor is rounded to f32 twice: the frequency, then the product.
Approx angle(const RopeCase& c, double position, int64_t i) {
  const double power = -2.0 * static_cast<double>(i) / c.rotary;
  return Approx(position) * rounded(std::pow(static_cast<double>(c.theta), power), 0);
}

std::vector<Approx> normed_head(const RopeCase& c, const TestTensor& x, const TestTensor& weight,
                                int64_t begin) {
  DotProduct squares;
  for (int64_t i = 0; i < c.dim; ++i) squares.add(x.at(begin + i), x.at(begin + i));
  const Approx mean = squares.sum() / Approx(static_cast<double>(c.dim));
  const Approx scale = Approx(1) / sqrt(mean + Approx(static_cast<double>(1e-6f)));
  std::vector<Approx> head;
  for (int64_t i = 0; i < c.dim; ++i) {
    const Approx factor = Approx(static_cast<double>(c.offset)) + weight.at(i);
    head.push_back(Approx(x.at(begin + i)) * scale * factor);
  }
  return head;
}

std::vector<Approx> reference(const RopeCase& c, const TestTensor& x, const TestTensor& weight,
                              const TestTensor& positions) {
  std::vector<Approx> out;
  for (int64_t head = 0; head < c.rows * c.heads; ++head) {
    std::vector<Approx> values = normed_head(c, x, weight, head * c.dim);
    for (int64_t i = 0; i < c.rotary / 2; ++i) {
      const Approx turn = angle(c, positions.at(head / c.heads), i);
      Approx& low = values[static_cast<size_t>(i)];
      Approx& high = values[static_cast<size_t>(i + c.rotary / 2)];
      const Approx rotated = low * cos(turn) - high * sin(turn);
      high = high * cos(turn) + low * sin(turn);
      low = rotated;
    }
    out.insert(out.end(), values.begin(), values.end());
  }
  return out;
}

TEST(NormRope, EqualsTheFormulaWithinItsBound) {
  for (const RopeCase& c : kCases) {
    for (const Layout layout : {Layout::kContiguous, Layout::kStridedRows, Layout::kStridedInner}) {
      const Shape shape{c.rows, c.heads, c.dim};
      SCOPED_TRACE(shape);
      Random random(1);
      const TestTensor x = TestTensor::normal(random, shape, 2, layout);
      const TestTensor weight = TestTensor::normal(random, Shape{c.dim});
      const TestTensor positions = some_positions(random, c.rows);
      const TestTensor out(DType::kF32, shape);
      run(op_of(c, out, x, weight, positions), 2);
      EXPECT_TRUE(close(out.view(), reference(c, x, weight, positions)));
      EXPECT_TRUE(out.guards_intact() && x.guards_intact());
    }
  }
}

// At position 0 and beyond rotary_dim the op is RmsNorm of each head.
TEST(NormRope, WhatIsNotRotatedIsTheNorm) {
  for (const RopeCase& c : kCases) {
    const Shape shape{c.rows, c.heads, c.dim};
    const Shape flat{c.rows * c.heads, c.dim};
    SCOPED_TRACE(shape);
    Random random(2);
    const TestTensor x = TestTensor::normal(random, shape);
    const TestTensor weight = TestTensor::normal(random, Shape{c.dim});
    const TestTensor normed(DType::kF32, flat);
    run(RmsNorm{normed.view(), x.view().reshaped(flat), weight.view(), c.offset, 1e-6f});
    const TestTensor out(DType::kF32, shape);
    run(op_of(c, out, x, weight, some_positions(random, c.rows)));
    EXPECT_TRUE(same_bits(out.view().reshaped(flat).columns(c.rotary, c.dim),
                          normed.view().columns(c.rotary, c.dim)));
    const std::vector<int32_t> zeros(static_cast<size_t>(c.rows), 0);
    run(op_of(c, out, x, weight, TestTensor::of_ints(zeros)));
    EXPECT_TRUE(same_bits(out.view().reshaped(flat), normed.view()));
  }
}

TEST(NormRope, RowsAndThreadsChangeNoBit) {
  for (const RopeCase& c : kCases) {
    const Shape shape{c.rows, c.heads, c.dim};
    SCOPED_TRACE(shape);
    Random random(3);
    const TestTensor x = TestTensor::normal(random, shape);
    const TestTensor weight = TestTensor::normal(random, Shape{c.dim});
    const TestTensor positions = some_positions(random, c.rows);
    const TestTensor all(DType::kF32, shape);
    run(op_of(c, all, x, weight, positions), 3);
    const TestTensor out(DType::kF32, shape);
    for (int64_t row = 0; row < c.rows; ++row) {
      NormRope op = op_of(c, out, x, weight, positions);
      op.out = op.out.rows(row, row + 1);
      op.x = op.x.rows(row, row + 1);
      op.positions = op.positions.rows(row, row + 1);
      run(op);
    }
    EXPECT_TRUE(same_bits(out.view(), all.view()));
  }
}

}  // namespace
}  // namespace gallop::ops::testing
