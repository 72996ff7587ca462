#include "base/machine.h"

#include <gtest/gtest.h>

namespace gallop {
namespace {

TEST(Machine, MemoryIsThereAndLessIsAvailableThanThereIs) {
  EXPECT_GT(total_memory_bytes(), 64 << 20);
  EXPECT_GT(available_memory_bytes(), 1 << 20);
  EXPECT_LE(available_memory_bytes(), total_memory_bytes());
}

TEST(Machine, CachesAreSmallerThanMemory) {
  EXPECT_GE(largest_cache_bytes(), 0);
  EXPECT_LT(largest_cache_bytes(), total_memory_bytes());
}

}  // namespace
}  // namespace gallop
