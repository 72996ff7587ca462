#include "cli/open_generator.h"

#include <gtest/gtest.h>

namespace gallop::cli {
namespace {

TEST(PlanPages, AllThatIsWantedOrHalfOfTheMemory) {
  // 100 tokens and a block of 12: 7 pages of 16 tokens a sequence.
  const engine::ExecutorLimits limits{
      .max_num_seqs = 4, .max_block = 12, .max_model_len = 100, .stop_ids = {}};
  EXPECT_EQ(*plan_pages(limits, 1000, 1'000'000), 28);
  EXPECT_EQ(*plan_pages(limits, 1000, 40'000), 20);
  EXPECT_EQ(*plan_pages(limits, 1000, 14'000), 7);
}

TEST(PlanPages, AContextThatDoesNotFitIsRefusedWithOneThatDoes) {
  engine::ExecutorLimits limits{
      .max_num_seqs = 4, .max_block = 12, .max_model_len = 100, .stop_ids = {}};
  const auto refused = plan_pages(limits, 1000, 13'999);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("use --max-model-len 84"), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(fitting_context(limits, 1000, 13'999), 84);
  limits.max_model_len = 84;
  EXPECT_EQ(*plan_pages(limits, 1000, 13'999), 6);
  limits.max_model_len = 85;
  EXPECT_FALSE(plan_pages(limits, 1000, 13'999).ok());
}

}  // namespace
}  // namespace gallop::cli
