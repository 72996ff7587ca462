#include "ops/verify/verify.h"

#include <gtest/gtest.h>

#include "ops/testing/op_case.h"

namespace gallop::ops::testing {
namespace {

std::vector<double> accept(const std::vector<int32_t>& blocks, const std::vector<int32_t>& ids,
                           const std::vector<int32_t>& chosen) {
  const TestTensor block_rows = TestTensor::of_ints(blocks);
  const TestTensor id_tensor = TestTensor::of_ints(ids);
  const TestTensor chosen_tensor = TestTensor::of_ints(chosen);
  const auto count = static_cast<int64_t>(blocks.size() / 2);
  const TestTensor accepted(DType::kI32, Shape{count});
  run(AcceptDrafts{accepted.view(), block_rows.view().reshaped(Shape{count, 2}), id_tensor.view(),
                   chosen_tensor.view()});
  EXPECT_TRUE(accepted.guards_intact());
  return accepted.values();
}

using Counts = std::vector<double>;

TEST(AcceptDraftsDeathTest, BlocksThatDoNotFitAreRefused) {
  const TestTensor ids = TestTensor::of_ints({5, 7});
  const TestTensor accepted(DType::kI32, Shape{1});
  const TestTensor wide = TestTensor::of_ints({0, 2, 0});
  EXPECT_DEATH(
      run(AcceptDrafts{accepted.view(), wide.view().reshaped(Shape{1, 3}), ids.view(), ids.view()}),
      "block_rows");
  EXPECT_DEATH(accept({1, 2}, {5, 7}, {5, 7}), "CHECK failed");
}

TEST(AcceptDrafts, CountsLeadingAgreement) {
  EXPECT_EQ(accept({0, 1}, {5}, {7}), Counts{0});                    // plain decode
  EXPECT_EQ(accept({0, 4}, {5, 7, 8, 9}, {7, 8, 9, 1}), Counts{3});  // everything
  EXPECT_EQ(accept({0, 4}, {5, 7, 8, 9}, {6, 8, 9, 1}), Counts{0});  // agrees later only
  EXPECT_EQ(accept({0, 4}, {5, 7, 8, 9}, {7, 8, 3, 1}), Counts{2});
}

// Agreement across the edge of a block counts for neither side.
TEST(AcceptDrafts, BlocksStandAlone) {
  EXPECT_EQ(accept({0, 2, 2, 2, 4, 1, 5, 3}, {1, 2, 3, 4, 5, 6, 7, 8}, {2, 3, 9, 5, 6, 7, 9, 9}),
            (Counts{1, 0, 0, 1}));
  EXPECT_EQ(accept({3, 2, 0, 3}, {1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}), (Counts{1, 2}));
}

TEST(AcceptDrafts, AgreesWithASlowCount) {
  Random random(1);
  for (int round = 0; round < 500; ++round) {
    std::vector<int32_t> blocks, ids, chosen;
    Counts expected;
    while (blocks.size() < 8) {
      const auto rows = static_cast<int32_t>(1 + random.below(16));
      const auto begin = static_cast<int32_t>(ids.size());
      blocks.insert(blocks.end(), {begin, rows});
      for (int32_t i = 0; i < rows; ++i) {
        ids.push_back(static_cast<int32_t>(random.below(2)));
        chosen.push_back(static_cast<int32_t>(random.below(2)));
      }
      double accepted = 0;
      for (int32_t i = 1; i < rows && accepted == i - 1; ++i) {
        if (ids[static_cast<size_t>(begin + i)] == chosen[static_cast<size_t>(begin + i - 1)]) {
          ++accepted;
        }
      }
      expected.push_back(accepted);
    }
    ASSERT_EQ(accept(blocks, ids, chosen), expected);
  }
}

}  // namespace
}  // namespace gallop::ops::testing
