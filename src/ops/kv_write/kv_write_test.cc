#include "ops/kv_write/kv_write.h"

#include <gtest/gtest.h>

#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"

namespace gallop::ops::testing {
namespace {

// Rows go to random places, every third nowhere; all other places keep what they held.
TEST(KvWrite, WritesItsSlotsAndNothingElse) {
  constexpr int64_t kPages = 5;
  constexpr int64_t kPageSize = 16;
  for (const Layout layout : {Layout::kContiguous, Layout::kStridedRows}) {
    for (const Shape& shape : {Shape{1, 1, 1}, Shape{17, 2, 16}, Shape{3, 4, 256}}) {
      SCOPED_TRACE(shape);
      Random random(1);
      const int64_t width = shape[1] * shape[2];
      const TestTensor k = TestTensor::normal(random, shape, 1, layout);
      const TestTensor v = TestTensor::normal(random, shape, 1, layout);
      const Shape pages{kPages, kPageSize, shape[1], shape[2]};
      const TestTensor k_pages = TestTensor::normal(random, pages);
      const TestTensor v_pages = TestTensor::normal(random, pages);
      std::vector<int32_t> slots = random.permutation(kPages * kPageSize);
      slots.resize(static_cast<size_t>(shape[0]));
      for (size_t i = 2; i < slots.size(); i += 3) slots[i] = -1;
      std::vector<double> k_expected = k_pages.values();
      std::vector<double> v_expected = v_pages.values();
      for (int64_t i = 0; i < k.elements(); ++i) {
        const int64_t slot = slots[static_cast<size_t>(i / width)];
        if (slot < 0) continue;
        k_expected[static_cast<size_t>(slot * width + i % width)] = k.at(i);
        v_expected[static_cast<size_t>(slot * width + i % width)] = v.at(i);
      }
      const TestTensor slot_tensor = TestTensor::of_ints(slots);
      run(KvWrite{k.view(), v.view(), slot_tensor.view(), k_pages.view(), v_pages.view()}, 2);
      EXPECT_EQ(k_pages.values(), k_expected);
      EXPECT_EQ(v_pages.values(), v_expected);
      EXPECT_TRUE(k_pages.guards_intact() && v_pages.guards_intact());
    }
  }
}

}  // namespace
}  // namespace gallop::ops::testing
