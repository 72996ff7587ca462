#include "ops/conv1d/conv1d.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"

namespace gallop::ops::testing {
namespace {

struct Part {
  int32_t position;
  int32_t rows;
  int32_t slot;
  bool provisional = false;
};

// Runs one step; `x` holds the rows of all parts.
TestTensor step(const TestTensor& x, const TestTensor& weight, const TestTensor& ring,
                const std::vector<Part>& parts, int threads = 1) {
  std::vector<SequenceRows> sequences;
  for (const Part& part : parts) {
    sequences.push_back({.rows = part.rows,
                         .position = part.position,
                         .state_slot = part.slot,
                         .provisional = part.provisional ? 1 : 0});
  }
  const TestBatch batch(sequences);
  TestTensor out(DType::kF32, x.view().shape());
  run(CausalConv1d{out.view(), x.view(), weight.view(), ring.view(), batch.batch()}, threads);
  EXPECT_TRUE(out.guards_intact() && ring.guards_intact());
  return out;
}

// Rows [begin, end) of a tensor, copied.
TestTensor rows_of(const TestTensor& from, int64_t begin, int64_t end,
                   Layout layout = Layout::kContiguous) {
  const int64_t width = from.view().extent(1);
  TestTensor rows(DType::kF32, Shape{end - begin, width}, layout);
  for (int64_t i = 0; i < rows.elements(); ++i) rows.set(i, from.at(begin * width + i));
  return rows;
}

std::vector<Approx> reference(const TestTensor& x, const TestTensor& weight) {
  const int64_t channels = weight.view().extent(0);
  const int64_t width = weight.view().extent(1);
  std::vector<Approx> out;
  for (int64_t t = 0; t < x.view().extent(0); ++t) {
    for (int64_t c = 0; c < channels; ++c) {
      DotProduct dot;
      for (int64_t j = std::max<int64_t>(0, width - 1 - t); j < width; ++j) {
        dot.add(weight.at(c * width + j), x.at((t - (width - 1) + j) * channels + c));
      }
      out.push_back(silu(dot.sum()));
    }
  }
  return out;
}

TEST(CausalConv1d, EqualsTheFormulaWithinItsBound) {
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{2, 3, 4}, Shape{5, 48, 4}, Shape{17, 100, 2},
                             Shape{64, 64, 4}, Shape{130, 33, 4}, Shape{3, 10, 7}}) {
    for (const Layout layout : {Layout::kContiguous, Layout::kStridedRows}) {
      SCOPED_TRACE(shape);
      Random random(1);
      const TestTensor x = TestTensor::normal(random, Shape{shape[0], shape[1]}, 1, layout);
      const TestTensor weight = TestTensor::normal(random, Shape{shape[1], shape[2]});
      const TestTensor ring(DType::kF32, Shape{2, shape[2] + 3, shape[1]});  // dirty: all NaN
      const TestTensor out = step(x, weight, ring, {{0, static_cast<int32_t>(shape[0]), 1}}, 2);
      EXPECT_TRUE(close(out.view(), reference(x, weight)));
    }
  }
}

// The prompt in pieces gives the bits of the prompt at once, and leaves the same ring.
TEST(CausalConv1d, ChunksChangeNoBit) {
  constexpr int32_t kTokens = 150;
  constexpr int64_t kChannels = 20;
  Random random(2);
  const TestTensor x = TestTensor::normal(random, Shape{kTokens, kChannels});
  const TestTensor weight = TestTensor::normal(random, Shape{kChannels, 4});
  const TestTensor ring(DType::kF32, Shape{1, 11, kChannels});
  const TestTensor expected = step(x, weight, ring, {{0, kTokens, 0}});
  for (const int32_t chunk : {1, 7, 64}) {
    const TestTensor other(DType::kF32, Shape{1, 11, kChannels});
    for (int32_t begin = 0; begin < kTokens; begin += chunk) {
      const int32_t end = std::min(kTokens, begin + chunk);
      const TestTensor rows = rows_of(x, begin, end, Layout::kStridedRows);
      const TestTensor out = step(rows, weight, other, {{begin, end - begin, 0}}, 3);
      ASSERT_TRUE(same_bits(out.view(), expected.view().rows(begin, end))) << begin;
    }
    EXPECT_TRUE(same_bits(other.view(), ring.view()));
  }
}

TEST(CausalConv1d, SlotsOfNobodyKeepWhatTheyHold) {
  Random random(3);
  const TestTensor x = TestTensor::normal(random, Shape{5, 6});
  const TestTensor weight = TestTensor::normal(random, Shape{6, 4});
  const TestTensor ring = TestTensor::normal(random, Shape{4, 9, 6});
  const std::vector<double> before = ring.values();
  step(x, weight, ring, {{0, 2, 3}, {20, 3, 1}});
  for (int64_t i = 0; i < ring.elements(); ++i) {
    const int64_t slot = i / (9 * 6);
    const int64_t place = i / 6 % 9;
    const bool written = (slot == 3 && place < 2) || (slot == 1 && place >= 2 && place < 5);
    const bool kept = ring.at(i) == before[static_cast<size_t>(i)];
    EXPECT_NE(kept, written) << "slot " << slot << " place " << place;
  }
}

// Blocks of which a random prefix is accepted, three sequences in one step, over hundreds of steps
// (the ring wraps around often): accepted rows have the bits of one pass over the accepted tokens.
TEST(CausalConv1d, RolledBackRowsLeaveNoTrace) {
  constexpr int64_t kBlock = 8;
  constexpr int32_t kTokens = 700;
  constexpr int64_t kChannels = 6;
  Random random(4);
  const TestTensor weight = TestTensor::normal(random, Shape{kChannels, 4});
  const TestTensor ring(DType::kF32, Shape{3, 3 + kBlock, kChannels});
  std::vector<TestTensor> truth, expected;
  for (int32_t s = 0; s < 3; ++s) {
    truth.push_back(TestTensor::normal(random, Shape{kTokens, kChannels}));
    const TestTensor scratch(DType::kF32, Shape{1, 11, kChannels});
    expected.push_back(step(truth.back(), weight, scratch, {{0, kTokens, 0}}));
  }
  std::vector<int32_t> position(3, 0);
  while (*std::max_element(position.begin(), position.end()) + kBlock < kTokens) {
    std::vector<Part> parts;
    std::vector<int32_t> accepted;
    int64_t rows = 0;
    for (size_t s = 0; s < 3; ++s) {
      parts.push_back({position[s], static_cast<int32_t>(1 + random.below(kBlock)),
                       static_cast<int32_t>(2 - s), true});
      accepted.push_back(static_cast<int32_t>(random.below(parts[s].rows + 1)));
      rows += parts[s].rows;
    }
    TestTensor x = TestTensor::normal(random, Shape{rows, kChannels});  // rejected rows: anything
    int64_t row = 0;
    for (size_t s = 0; s < 3; ++s) {
      for (int64_t i = 0; i < accepted[s] * kChannels; ++i) {
        x.set(row * kChannels + i, truth[s].at(position[s] * kChannels + i));
      }
      row += parts[s].rows;
    }
    const TestTensor out = step(x, weight, ring, parts);
    row = 0;
    for (size_t s = 0; s < 3; ++s) {
      const int32_t end = position[s] + accepted[s];
      ASSERT_TRUE(same_bits(out.view().rows(row, row + accepted[s]),
                            expected[s].view().rows(position[s], end)))
          << "sequence " << s << " position " << position[s];
      row += parts[s].rows;
      position[s] = end;
    }
  }
}

TEST(CausalConv1dDeathTest, RingsThatAreTooShortAreRefused) {
  Random random(5);
  const TestTensor x = TestTensor::normal(random, Shape{3, 6});
  const TestTensor weight = TestTensor::normal(random, Shape{6, 4});
  const TestTensor shortest = TestTensor::normal(random, Shape{2, 3, 6});
  EXPECT_DEATH(step(x, weight, shortest, {{20, 3, 0}}), "3 vs 4");
  const TestTensor ring = TestTensor::normal(random, Shape{2, 5, 6});
  step(x, weight, ring, {{20, 3, 0}});  // a prompt is never rolled back
  EXPECT_DEATH(step(x, weight, ring, {{20, 3, 0, true}}), "6 vs 5");
  EXPECT_DEATH(step(x, weight, ring, {{20, 3, 2}}), "state_slot");
}

}  // namespace
}  // namespace gallop::ops::testing
