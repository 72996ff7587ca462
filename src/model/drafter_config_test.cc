#include "model/drafter_config.h"

#include <gtest/gtest.h>

namespace gallop::model {
namespace {

// Shaped as z-lab's config.json of Qwen3.5-27B-DFlash, with fewer layers.
Json drafter() {
  return *parse_json(R"({
    "architectures": ["DFlashDraftModel"], "model_type": "qwen3", "hidden_size": 5120,
    "num_hidden_layers": 3, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    "intermediate_size": 17408, "hidden_act": "silu", "rms_norm_eps": 1e-6,
    "attention_bias": false, "rope_theta": 10000000, "rope_scaling": null,
    "max_position_embeddings": 262144, "vocab_size": 248320, "block_size": 16,
    "num_target_layers": 64,
    "dflash_config": {"mask_token_id": 248070, "target_layer_ids": [1, 16, 31, 46, 61]}})");
}

std::string error_of(const Json& json) {
  const auto config = parse_drafter_config(json);
  return config.ok() ? "no error" : config.error().message;
}

std::vector<int32_t> windows(const Json& json) {
  const DrafterConfig config = *parse_drafter_config(json);
  std::vector<int32_t> result;
  for (const DrafterLayerConfig& layer : config.layers) {
    result.push_back(layer.window);
  }
  return result;
}

std::vector<bool> causal(const Json& json) {
  const DrafterConfig config = *parse_drafter_config(json);
  std::vector<bool> result;
  for (const DrafterLayerConfig& layer : config.layers) {
    result.push_back(layer.causal);
  }
  return result;
}

TEST(DrafterConfigTest, PublishedConfig) {
  const auto config = parse_drafter_config(drafter());
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->hidden, 5120);
  EXPECT_EQ(config->q_heads * config->head_dim, 4096);
  EXPECT_EQ(config->block, 16);
  EXPECT_EQ(config->mask_token, 248070);
  EXPECT_EQ(config->target_layers, (std::vector<int32_t>{1, 16, 31, 46, 61}));
  EXPECT_EQ(config->feature_width(), 25600);
  EXPECT_EQ(config->rope_theta, 1e7f);
  EXPECT_EQ(windows(drafter()), (std::vector<int32_t>{0, 0, 0}));
  EXPECT_EQ(causal(drafter()), (std::vector<bool>{false, false, false}));
}

TEST(DrafterConfigTest, NestedBlockSizeComesFirst) {
  Json json = drafter();
  json["dflash_config"]["block_size"] = 8;
  EXPECT_EQ(parse_drafter_config(json)->block, 8);
  json["mask_token_id"] = 5;
  EXPECT_EQ(parse_drafter_config(json)->mask_token, 248070);
  json["dflash_config"].erase("mask_token_id");
  EXPECT_EQ(parse_drafter_config(json)->mask_token, 5);
}

TEST(DrafterConfigTest, RopeParametersWin) {
  Json json = drafter();
  json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 1000000}};
  EXPECT_EQ(parse_drafter_config(json)->rope_theta, 1e6f);
}

TEST(DrafterConfigTest, SlidingLayersAreCausalUnlessStated) {
  Json json = drafter();
  json["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention"};
  json["sliding_window"] = 2048;
  json["use_sliding_window"] = false;  // a gate of the base class that drafters do not mean
  EXPECT_EQ(windows(json), (std::vector<int32_t>{2048, 0, 2048}));
  EXPECT_EQ(causal(json), (std::vector<bool>{true, false, true}));
  json["dflash_config"]["swa_window_size"] = 7;
  json["dflash_config"]["causal"] = true;
  EXPECT_EQ(windows(json), (std::vector<int32_t>{7, 0, 7}));
  EXPECT_EQ(causal(json), (std::vector<bool>{true, true, true}));
  json["is_causal"] = false;
  EXPECT_EQ(causal(json), (std::vector<bool>{false, false, false}));
}

TEST(DrafterConfigTest, UseSwaMeansAWindowOnAllLayersWithoutCausality) {
  Json json = drafter();
  json["dflash_config"]["use_swa"] = true;
  json["sliding_window"] = 64;
  EXPECT_EQ(windows(json), (std::vector<int32_t>{64, 64, 64}));
  EXPECT_EQ(causal(json), (std::vector<bool>{false, false, false}));
  json["layer_types"] = {"full_attention", "full_attention", "full_attention"};
  EXPECT_EQ(windows(json), (std::vector<int32_t>{64, 64, 64}));
  json["layer_types"] = {"sliding_attention", "full_attention", "full_attention"};
  EXPECT_EQ(windows(json), (std::vector<int32_t>{64, 0, 0}));
}

struct BadDrafter {
  std::string key;  // dflash_config keys begin with '.'
  std::string value;
  std::string expected;
};

TEST(DrafterConfigTest, BadValuesAreNamed) {
  const std::vector<BadDrafter> cases = {
      {"architectures", R"(["EagleModel"])", "DFlashDraftModel"},
      {"dflash_config", "null", "dflash_config is missing"},
      {"dflash_config", "[]", "dflash_config is []"},
      {"block_size", "1", "block_size is 1; expected an integer from 2 to 64"},
      {"block_size", "65", "block_size is 65"},
      {"block_size", "null", "block_size is missing"},
      {".block_size", "65", "dflash_config.block_size is 65"},
      {".mask_token_id", "-1", "dflash_config.mask_token_id is -1"},
      {".mask_token_id", "null", "mask_token_id is missing"},
      {".target_layer_ids", "[]", "target_layer_ids is []; expected at least one"},
      {".target_layer_ids", "null", "target_layer_ids is missing"},
      {".target_layer_ids", R"(["a"])", "target_layer_ids"},
      {".surprise", "1", "dflash_config.surprise is an unknown key"},
      {"conv_kernel_size", "2", "conv_kernel_size is 2: a key of DFlash 2"},
      {".selector_rank", "256", "dflash_config.selector_rank is 256: a key of DFlash 2"},
      {"markov_rank", "256", "markov_rank is 256: a key of DSpark"},
      {"attention_bias", "true", "attention_bias is true"},
      {"rms_norm_eps", "1e-60", "rms_norm_eps is 1e-60; expected a number above 0"},
      {"rope_theta", "1e-300", "rope_theta is 1e-300"},
      {"rope_scaling", R"({"rope_type": "yarn"})", "rope_scaling.rope_type is \"yarn\""},
      {"rope_parameters", R"({"rope_type": "yarn", "rope_theta": 1})", "rope_parameters.rope_type"},
      {"partial_rotary_factor", "0.5", "partial_rotary_factor"},
      {"num_key_value_heads", "5", "a multiple of num_key_value_heads 5"},
      {"head_dim", "127", "head_dim is 127; expected an even number"},
      {"layer_types", R"(["full_attention"])", "3 of them"},
      {"layer_types", R"(["full_attention", "sliding_attention", "sliding_attention"])",
       "sliding_window is missing"},
      {"layer_types", R"(["full_attention", "linear_attention", "full_attention"])", "layer_types"},
      {"num_hidden_layers", "0", "num_hidden_layers is 0"},
      {"quantization_config", "{}", "quantization_config"},
  };
  for (const BadDrafter& bad : cases) {
    Json json = drafter();
    Json& place = bad.key[0] == '.' ? json["dflash_config"][bad.key.substr(1)] : json[bad.key];
    place = *parse_json(bad.value);
    const std::string message = error_of(json);
    EXPECT_NE(message.find(bad.expected), std::string::npos)
        << bad.key << " = " << bad.value << "\ngave: " << message << "\nexpected: " << bad.expected;
  }
}

TEST(DrafterConfigTest, MustMatchItsTarget) {
  const DrafterConfig config = *parse_drafter_config(drafter());
  ModelConfig target;
  target.hidden = 5120;
  target.vocab = 248320;
  target.layer_kinds.resize(64);
  EXPECT_TRUE(check_drafter_matches(config, target).ok());
  const auto error_with = [&](auto change) {
    DrafterConfig changed = config;
    change(changed);
    const auto match = check_drafter_matches(changed, target);
    return match.ok() ? std::string("no error") : match.error().message;
  };
  EXPECT_EQ(error_with([](DrafterConfig& c) { c.hidden = 2560; }),
            "hidden_size is 2560; the target's is 5120");
  EXPECT_NE(error_with([](DrafterConfig& c) { c.vocab = 5; }).find("vocab_size is 5"),
            std::string::npos);
  EXPECT_NE(error_with([](DrafterConfig& c) { c.mask_token = 248320; }).find("mask_token_id"),
            std::string::npos);
  EXPECT_NE(error_with([](DrafterConfig& c) {
              c.stated_target_layers = 32;
            }).find("num_target_layers is 32"),
            std::string::npos);
  EXPECT_NE(error_with([](DrafterConfig& c) {
              c.target_layers = {1, 64};
            }).find("target_layer_ids is 64"),
            std::string::npos);
}

}  // namespace
}  // namespace gallop::model
