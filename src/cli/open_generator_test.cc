#include "cli/open_generator.h"

#include <gtest/gtest.h>

namespace gallop::cli {
namespace {

TEST(PlanPages, WeightsAndStatesComeBeforeTheCache) {
  const ModelMemory memory{.weights = 300, .state = 20, .page = 1};
  EXPECT_EQ(memory.cache_budget(4, 1000), 500);  // half, though 620 are left
  EXPECT_EQ(memory.cache_budget(4, 760), 380);
  EXPECT_EQ(memory.cache_budget(4, 600), 220);
  EXPECT_EQ(memory.cache_budget(8, 600), 140);
  EXPECT_EQ(memory.cache_budget(8, 300), 0);
}

TEST(PlanPages, BuffersComeBeforeTheCacheToo) {
  const ModelMemory memory{.weights = 300, .state = 20, .buffers = 50, .page = 1};
  EXPECT_EQ(memory.cache_budget(4, 600), 170);
}

TEST(PlanPages, WhatUsesUpTheMemoryIsNamed) {
  engine::ExecutorLimits limits{
      .max_num_seqs = 40, .max_block = 12, .max_model_len = 100, .stop_ids = {}};
  const ModelMemory memory{.weights = 300, .state = 20, .buffers = 50, .page = 10};
  EXPECT_TRUE(check_memory(memory, limits, 1160).ok());
  const auto refused = check_memory(memory, limits, 1159);  // not the page that two tokens need
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "weights of 300 bytes, states of 20 bytes x 40 sequences and buffers of 50 bytes leave "
            "no room for a cache in the 1.1 KiB of available memory: a smaller --max-num-seqs "
            "needs less");
  for (const int64_t available : {200, 300}) {
    EXPECT_TRUE(check_memory(memory, limits, available)
                    .error()
                    .message.ends_with("this model needs more memory"));
  }
  limits.max_num_seqs = 1;
  EXPECT_TRUE(
      check_memory(memory, limits, 360).error().message.ends_with("this model needs more memory"));
}

TEST(PlanPages, AllThatIsWantedOrTheBudget) {
  // 100 tokens and a block of 12: 7 pages of 16 tokens a sequence.
  const engine::ExecutorLimits limits{
      .max_num_seqs = 4, .max_block = 12, .max_model_len = 100, .stop_ids = {}};
  EXPECT_EQ(*plan_pages(limits, 1000, 500'000), 28);
  EXPECT_EQ(*plan_pages(limits, 1000, 20'000), 20);
  EXPECT_EQ(*plan_pages(limits, 1000, 7'000), 7);
}

TEST(PlanPages, AContextThatDoesNotFitIsRefusedWithOneThatDoes) {
  engine::ExecutorLimits limits{
      .max_num_seqs = 4, .max_block = 12, .max_model_len = 100, .stop_ids = {}};
  const auto refused = plan_pages(limits, 1000, 6'999);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("use --max-model-len 84"), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(fitting_context(limits, 1000, 6'999), 84);
  limits.max_model_len = 84;
  EXPECT_EQ(*plan_pages(limits, 1000, 6'999), 6);
  limits.max_model_len = 85;
  EXPECT_FALSE(plan_pages(limits, 1000, 6'999).ok());
}

}  // namespace
}  // namespace gallop::cli
