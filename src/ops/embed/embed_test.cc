#include "ops/embed/embed.h"

#include <gtest/gtest.h>

#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"

namespace gallop::ops::testing {
namespace {

TEST(EmbedRows, WidensRowsExactly) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const int64_t rows : {1, 3, 17, 130}) {
      for (const int64_t width : {1, 48, 256}) {
        SCOPED_TRACE((Shape{rows, width}));
        Random random(1);
        TestTensor table(dtype, Shape{37, width});
        for (int64_t i = 0; i < table.elements(); ++i) table.set(i, random.normal());
        std::vector<int32_t> ids = {0, 36};
        while (static_cast<int64_t>(ids.size()) < rows) {
          ids.push_back(static_cast<int32_t>(random.below(37)));
        }
        ids.resize(static_cast<size_t>(rows));
        const TestTensor id_tensor = TestTensor::of_ints(ids);
        const TestTensor out(DType::kF32, Shape{rows, width});
        run(EmbedRows{out.view(), table.view(), id_tensor.view()}, 2);
        for (int64_t i = 0; i < out.elements(); ++i) {
          ASSERT_EQ(out.at(i), table.at(ids[static_cast<size_t>(i / width)] * width + i % width));
        }
        EXPECT_TRUE(out.guards_intact());
      }
    }
  }
}

TEST(EmbedRows, WidensSubnormalsOfF16) {
  TestTensor table(DType::kF16, Shape{1, 4});
  const std::vector<double> values = {0x1p-24, -0x1.8p-15, 65504, 0};
  for (int64_t i = 0; i < 4; ++i) table.set(i, values[static_cast<size_t>(i)]);
  const TestTensor ids = TestTensor::of_ints({0});
  const TestTensor out(DType::kF32, Shape{1, 4});
  run(EmbedRows{out.view(), table.view(), ids.view()});
  EXPECT_EQ(out.values(), values);
}

}  // namespace
}  // namespace gallop::ops::testing
