#include "model/shapes.h"

#include <gtest/gtest.h>

#include "model/drafter_config.h"

namespace gallop::model {
namespace {

ModelConfig parsed(const Json& config) {
  const Result<ModelConfig> result = parse_model_config(config);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return *result;
}

TEST(Shapes, NamedOnesAreModelsAndTheirDraftersFit) {
  for (const char* name : {"qwen3.5-27b", "qwen3.5-tiny"}) {
    const ModelConfig target = parsed(*named_shape(name));
    const Result<DrafterConfig> drafter = parse_drafter_config(drafter_shape(target));
    ASSERT_TRUE(drafter.ok()) << drafter.error().message;
    EXPECT_TRUE(check_drafter_matches(*drafter, target).ok());
  }
  const Result<Json> unknown = named_shape("qwen4");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("'qwen4'"), std::string::npos);
}

// Source: z-lab/Qwen3.5-27B-DFlash, config.json.
TEST(Shapes, TheDrafterOf27bIsThePublishedOne) {
  const DrafterConfig drafter =
      *parse_drafter_config(drafter_shape(parsed(*named_shape("qwen3.5-27b"))));
  EXPECT_EQ(drafter.q_heads, 32);
  EXPECT_EQ(drafter.kv_heads, 8);
  EXPECT_EQ(drafter.head_dim, 128);
  EXPECT_EQ(drafter.layers.size(), 5u);
  EXPECT_EQ(drafter.mask_token, 248070);
  EXPECT_EQ(drafter.target_layers, (std::vector<int32_t>{1, 16, 31, 46, 61}));
}

TEST(Shapes, LayersAreCutFromTheEndAndRepeated) {
  const Json whole = *named_shape("qwen3.5-27b");
  using enum LayerKind;
  const auto kinds = [&](int64_t layers) {
    return parsed(*with_layers(whole, layers)).layer_kinds;
  };
  EXPECT_EQ(kinds(1), (std::vector{kFullAttention}));
  EXPECT_EQ(kinds(2), (std::vector{kLinearAttention, kFullAttention}));
  EXPECT_EQ(kinds(64), parsed(whole).layer_kinds);
  const std::vector<LayerKind> more = kinds(130);
  EXPECT_EQ(std::vector(more.begin() + 66, more.end()), kinds(64));
  EXPECT_EQ(more.front(), kLinearAttention);
  EXPECT_FALSE(with_layers(whole, 0).ok());
  EXPECT_FALSE(with_layers(whole, 1025).ok());
}

TEST(Shapes, ShortTargetsHaveDraftersToo) {
  for (int64_t layers = 1; layers <= 12; ++layers) {
    const ModelConfig target = parsed(*with_layers(*named_shape("qwen3.5-tiny"), layers));
    const Result<DrafterConfig> drafter = parse_drafter_config(drafter_shape(target));
    ASSERT_TRUE(drafter.ok()) << drafter.error().message;
    EXPECT_TRUE(check_drafter_matches(*drafter, target).ok()) << layers;
  }
}

}  // namespace
}  // namespace gallop::model
