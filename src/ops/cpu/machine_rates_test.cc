#include "ops/cpu/machine_rates.h"

#include <gtest/gtest.h>

namespace gallop::ops {
namespace {

// A core of the last twenty years reads some hundred MB/s and does some hundred MFLOP/s even under
// a sanitizer and beside other work; none does 100 TB/s or 100 TFLOP/s, which is what a loop that
// the compiler has removed would look like.
TEST(MachineRates, AreThoseOfACore) {
  const Result<double> rate = read_rate(8 << 20, 1);
  ASSERT_TRUE(rate.ok());
  EXPECT_GT(*rate, 1e8);
  EXPECT_LT(*rate, 1e14);
  const double operations = multiply_add_rate(1);
  EXPECT_GT(operations, 1e8);
  EXPECT_LT(operations, 1e14);
}

TEST(MachineRates, NoMemoryIsAnErrorNotACrash) {
  EXPECT_FALSE(read_rate(int64_t{1} << 60, 1).ok());
}

}  // namespace
}  // namespace gallop::ops
