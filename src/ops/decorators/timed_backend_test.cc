#include "ops/decorators/timed_backend.h"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "ops/testing/wrapped_cpu.h"

namespace gallop::ops {
namespace {

// Every operation takes ten milliseconds more.
class SlowCpu : public WrappedCpu {
 public:
  void run(const Op& op) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    WrappedCpu::run(op);
  }
};

TEST(TimedBackend, AddsUpTheTimeOfEachKind) {
  TimedBackend timed(std::make_unique<SlowCpu>());
  float rows[2][3] = {{1, 2, 3}, {4, 5, 6}};
  float weight[2][3] = {{1, 0, 0}, {0, 1, 1}};
  float out[2][2] = {};
  const LinearWeight linear{
      .parts = {{.weight = FloatWeight{TensorView(weight, DType::kF32, {2, 3})}}}};
  const TensorView from(rows, DType::kF32, {2, 3});
  float copied[2][3] = {};
  timed.run(CopyRows{.out = TensorView(copied, DType::kF32, {2, 3}), .x = from});
  for (int i = 0; i < 3; ++i) {
    timed.run(Linear{.out = TensorView(out, DType::kF32, {2, 2}), .x = from, .weight = &linear});
  }
  EXPECT_EQ(out[1][1], 11);
  EXPECT_EQ(copied[1][2], 6);
  const std::vector<OpTime> times = timed.times();
  ASSERT_EQ(times.size(), 2u);
  EXPECT_EQ(times[0].op, "Linear 2x3");
  EXPECT_EQ(times[0].calls, 3);
  EXPECT_GE(times[0].seconds, 0.03);
  EXPECT_EQ(times[1].op, "CopyRows");
  EXPECT_EQ(times[1].calls, 1);
  timed.set_counting(false);
  timed.run(Linear{.out = TensorView(out, DType::kF32, {2, 2}), .x = from, .weight = &linear});
  EXPECT_EQ(timed.times()[0].calls, 3);
  timed.reset();
  EXPECT_TRUE(timed.times().empty());
}

}  // namespace
}  // namespace gallop::ops
