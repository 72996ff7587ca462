#include "ops/rows/rows.h"

#include <gtest/gtest.h>

#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"

namespace gallop::ops::testing {
namespace {

TEST(GatherRows, PicksRowsInAnyOrder) {
  for (const Layout layout : {Layout::kContiguous, Layout::kStridedRows}) {
    for (const int64_t width : {1, 5, 256}) {
      Random random(1);
      const TestTensor x = TestTensor::normal(random, Shape{17, width}, 1, layout);
      const std::vector<int32_t> rows = {16, 0, 3, 3, 9};
      const TestTensor row_tensor = TestTensor::of_ints(rows);
      const TestTensor out(DType::kF32, Shape{5, width}, layout);
      run(GatherRows{out.view(), x.view(), row_tensor.view()});
      for (size_t i = 0; i < rows.size(); ++i) {
        const auto place = static_cast<int64_t>(i);
        EXPECT_TRUE(
            same_bits(out.view().rows(place, place + 1), x.view().rows(rows[i], rows[i] + 1)));
      }
      EXPECT_TRUE(out.guards_intact() && x.guards_intact());
    }
  }
}

TEST(CopyRows, FillsAColumnRange) {
  for (const int64_t rows : {1, 2, 130}) {
    for (const int64_t width : {1, 48}) {
      Random random(2);
      const TestTensor x = TestTensor::normal(random, Shape{rows, width}, 1, Layout::kStridedRows);
      const TestTensor features(DType::kF32, Shape{rows, 3 * width});
      run(CopyRows{features.view().columns(width, 2 * width), x.view()});
      EXPECT_TRUE(same_bits(features.view().columns(width, 2 * width), x.view()));
      for (int64_t i = 0; i < features.elements(); ++i) {
        const bool copied = i / width % 3 == 1;
        ASSERT_NE(std::isnan(features.at(i)), copied) << i;
      }
      EXPECT_TRUE(features.guards_intact());
    }
  }
}

}  // namespace
}  // namespace gallop::ops::testing
