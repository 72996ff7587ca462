#include "model/step_work.h"

#include <gtest/gtest.h>

namespace gallop::model {
namespace {

const std::filesystem::path kFoal = GALLOP_SOURCE_DIR "/models/foal";

// Foal by hand, from its config: 2 attention and 6 GDN layers, hidden 256, intermediate 768, BF16.
constexpr double kMlp = 3 * 256 * 768;
constexpr double kAttention = 256.0 * (2 * 6 * 256 + 2 * 256) + 6 * 256 * 256;
constexpr double kGdnChannels = 2 * 2 * 128 + 6 * 128;
constexpr double kGdn = 256.0 * (kGdnChannels + 6 * 128 + 2 * 6) + 6 * 128 * 256;
constexpr double kHead = 4096 * 256;
constexpr double kLinears = 8 * kMlp + 2 * kAttention + 6 * kGdn;
constexpr double kState = 6 * 128 * 128;

TEST(StepWork, APlainStepOfFoal) {
  const auto foal = load_model(kFoal / "target");
  ASSERT_TRUE(foal.ok());
  const Work work = target_work(*foal, 100, 1, 1);
  const double keys = 2 * 101 * 2 * 256 * 4;  // layers, positions, keys and values, f32
  EXPECT_EQ(work.bytes, 2 * (kLinears + kHead) + keys + 6 * 2 * kState * 4);
  EXPECT_EQ(work.operations, 2 * (kLinears + kHead) + 2 * 4 * 6 * 256 * 101.0 +
                                 6 * (7 * kState + 2 * 4 * kGdnChannels));
  // Rows add arithmetic, not weights; without a choice the head is not read.
  const Work prompt = target_work(*foal, 0, 64, 0);
  EXPECT_LT(prompt.bytes, work.bytes);
  EXPECT_GT(prompt.operations, 64 * 2 * kLinears);
}

TEST(StepWork, ADraftedStepReadsDrafterAndHeadMore) {
  const auto foal = load_model(kFoal / "target");
  ASSERT_TRUE(foal.ok());
  const auto drafter = load_drafter(kFoal / "drafter", foal->config);
  ASSERT_TRUE(drafter.ok());
  const Work draft = drafter_work(*drafter, *foal, 100, 16, 3);
  const double kv = 2 * 2 * 128 * 256;
  const double layer = 256.0 * 1024 + kv + 1024 * 256 + kMlp;
  const double fc = 256 * 5 * 256;
  const double keys = 3 * 2 * 2 * 128 * 116 * 4.0;
  EXPECT_EQ(draft.bytes, 2 * (kHead + fc + 3 * layer) + keys);
  EXPECT_EQ(draft.operations,
            2 * (15 * kHead + 3 * fc + 3 * (16 * layer + 3 * kv)) + 3 * 4 * 1024 * 16 * 116.0);
}

}  // namespace
}  // namespace gallop::model
