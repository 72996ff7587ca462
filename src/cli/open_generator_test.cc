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
