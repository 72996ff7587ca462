#include "ops/cpu/instruction_set.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "ops/cpu/simd.h"

namespace gallop::ops {
namespace {

TEST(InstructionSet, TheBestOneIsInUse) {
  EXPECT_EQ(runnable_instruction_sets().front(), simd::instruction_set());
}

TEST(InstructionSet, AnUnknownOneIsRefusedWithTheList) {
  const Result<void> refused = limit_instruction_set("MMX");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find(runnable_instruction_sets().back()), std::string::npos);
  EXPECT_FALSE(limit_instruction_set("").ok());
}

TEST(InstructionSet, EachOneCanBeForced) {
  for (const std::string& name : runnable_instruction_sets()) {
    ASSERT_TRUE(limit_instruction_set(name).ok());
    EXPECT_EQ(name, simd::instruction_set());
    EXPECT_EQ(name, runnable_instruction_sets().front());
    hwy::DisableTargets(0);  // for the tests behind this one
  }
}

}  // namespace
}  // namespace gallop::ops
