#include "model/config.h"

#include <gtest/gtest.h>

#include "model/generation_config.h"

namespace gallop::model {
namespace {

// The published text_config of Qwen3.5-27B.
Json text_config() {
  return *parse_json(R"({
    "model_type": "qwen3_5_text", "hidden_size": 5120, "intermediate_size": 17408,
    "vocab_size": 248320, "num_hidden_layers": 64, "full_attention_interval": 4,
    "num_attention_heads": 24, "num_key_value_heads": 4, "head_dim": 256,
    "linear_num_key_heads": 16, "linear_num_value_heads": 48, "linear_key_head_dim": 128,
    "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "rms_norm_eps": 1e-6,
    "hidden_act": "silu", "attention_bias": false, "attn_output_gate": true,
    "output_gate_type": "swish", "max_position_embeddings": 262144, "eos_token_id": 248044,
    "rope_scaling": null, "rope_parameters": {"rope_type": "default", "rope_theta": 10000000,
      "partial_rotary_factor": 0.25, "mrope_interleaved": true, "mrope_section": [11, 11, 10]}})");
}

// The text config with one key changed; a null value removes nothing but counts as absent.
Json with(const std::string& key, const std::string& value) {
  Json json = text_config();
  json[key] = *parse_json(value);
  return json;
}

std::string error_of(const Json& json) {
  const auto config = parse_model_config(json);
  return config.ok() ? "no error" : config.error().message;
}

TEST(ModelConfigTest, Qwen35Sizes) {
  const auto config = parse_model_config(text_config());
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->hidden, 5120);
  EXPECT_EQ(config->layers(), 64);
  EXPECT_EQ(config->layer_kinds[2], LayerKind::kLinearAttention);
  EXPECT_EQ(config->layer_kinds[3], LayerKind::kFullAttention);
  EXPECT_EQ(config->layer_kinds[63], LayerKind::kFullAttention);
  EXPECT_EQ(config->conv_channels(), 10240);
  EXPECT_EQ(config->rotary_dim, 64);
  EXPECT_EQ(config->rope_theta, 1e7f);
  EXPECT_EQ(config->rms_norm_eps, 1e-6f);
  EXPECT_EQ(config->mrope_section, (std::array<int32_t, 3>{11, 11, 10}));
  EXPECT_EQ(config->eos_ids, std::vector<int32_t>{248044});
  EXPECT_FALSE(config->tied_head);
}

TEST(ModelConfigTest, LayerTypesWinOverTheInterval) {
  Json json = with("layer_types", R"(["full_attention", "linear_attention"])");
  json["num_hidden_layers"] = 2;
  const auto config = parse_model_config(json);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->layer_kinds[0], LayerKind::kFullAttention);
  EXPECT_EQ(config->layer_kinds[1], LayerKind::kLinearAttention);
}

TEST(ModelConfigTest, RopeParametersWinOverTopLevel) {
  Json json = with("partial_rotary_factor", "0.5");
  json["rope_theta"] = 17;
  EXPECT_EQ(parse_model_config(json)->rotary_dim, 64);
  EXPECT_EQ(parse_model_config(json)->rope_theta, 1e7f);
  json["rope_parameters"].erase("partial_rotary_factor");
  json["rope_parameters"].erase("rope_theta");
  json["rope_parameters"]["mrope_section"] = {22, 21, 21};
  EXPECT_EQ(parse_model_config(json)->rotary_dim, 128);
  EXPECT_EQ(parse_model_config(json)->rope_theta, 17.0f);
  json.erase("rope_theta");
  EXPECT_NE(error_of(json).find("rope_theta is missing"), std::string::npos) << error_of(json);
}

TEST(ModelConfigTest, ConditionalGenerationLayout) {
  Json json = Json::object();
  json["model_type"] = "qwen3_5";
  json["text_config"] = text_config();
  json["vision_config"] = Json::object();
  ASSERT_TRUE(parse_model_config(json).ok()) << error_of(json);
  json["text_config"]["tie_word_embeddings"] = true;
  EXPECT_TRUE(parse_model_config(json)->tied_head);
  json["tie_word_embeddings"] = false;
  EXPECT_FALSE(parse_model_config(json)->tied_head);
  json["text_config"].erase("eos_token_id");
  json["eos_token_id"] = {3, 4};
  EXPECT_EQ(parse_model_config(json)->eos_ids, (std::vector<int32_t>{3, 4}));
  json["text_config"]["hidden_size"] = "large";
  EXPECT_NE(error_of(json).find("text_config.hidden_size is \"large\""), std::string::npos);
  json.erase("text_config");
  EXPECT_NE(error_of(json).find("text_config is missing"), std::string::npos);
}

struct BadConfig {
  std::string key;
  std::string value;
  std::string expected;  // in the message
};

TEST(ModelConfigTest, BadValuesAreNamed) {
  const std::vector<BadConfig> cases = {
      {"model_type", R"("qwen3_5_moe")", "model_type is \"qwen3_5_moe\""},
      {"model_type", R"("qwen4_exp")", "model_type is \"qwen4_exp\""},
      {"model_type", "7", "model_type is 7"},
      {"hidden_size", "null", "hidden_size is missing"},
      {"hidden_size", "0", "hidden_size is 0; expected an integer from 1"},
      {"hidden_size", "-5", "hidden_size is -5"},
      {"hidden_size", "5.5", "hidden_size is 5.5"},
      {"hidden_size", "18446744073709551615", "hidden_size is 18446744073709551615"},
      {"hidden_size", "1e300", "hidden_size"},
      {"vocab_size", "16777217", "vocab_size is 16777217"},
      {"num_hidden_layers", "100000000", "num_hidden_layers"},
      {"num_key_value_heads", "5", "a multiple of num_key_value_heads 5"},
      {"linear_num_key_heads", "5", "a multiple of linear_num_key_heads 5"},
      {"layer_types", R"(["full_attention"])", "64 of them"},
      {"layer_types", R"("full_attention")", "a list of strings"},
      {"layer_types", R"([1])", "a list of strings"},
      {"full_attention_interval", "0", "full_attention_interval is 0"},
      {"rms_norm_eps", "0", "rms_norm_eps is 0"},
      {"rms_norm_eps", R"("1e-6")", "rms_norm_eps"},
      // Zero once it is an f32.
      {"rms_norm_eps", "1e-60", "rms_norm_eps is 1e-60; expected a number above 0"},
      {"rope_parameters", R"({"rope_theta": 1e-300})", "rope_parameters.rope_theta is 1e-300"},
      {"attention_bias", "true", "attention_bias is true; expected false"},
      {"attn_output_gate", "false", "attn_output_gate is false; expected true"},
      {"hidden_act", R"("gelu")", "hidden_act is \"gelu\""},
      {"quantization_config", R"({"quant_method": "gptq"})", "quant_method is \"gptq\""},
      {"eos_token_id", "248320", "ids below vocab_size 248320"},
      {"eos_token_id", R"(["x"])", "eos_token_id"},
      {"tie_word_embeddings", "1", "tie_word_embeddings is 1"},
      {"rope_scaling", R"({"type": "yarn", "factor": 4})", "rope_scaling.type is \"yarn\""},
      {"rope_parameters", R"({"rope_type": "yarn", "rope_theta": 1})",
       "rope_parameters.rope_type is \"yarn\""},
      {"rope_parameters", R"({"rope_theta": -1})", "rope_parameters.rope_theta is -1"},
      {"rope_parameters", R"({"rope_theta": 1, "mrope_section": [11, 11, 11]})",
       "rope_parameters.mrope_section is [11,11,11]"},
      {"rope_parameters", R"({"rope_theta": 1, "mrope_section": [11, 11]})", "three integers"},
      {"rope_parameters", R"({"rope_theta": 1, "mrope_interleaved": false})",
       "mrope_interleaved is false"},
      {"rope_parameters", R"({"rope_theta": 1, "partial_rotary_factor": 0.001})", "even number"},
      {"rope_parameters", R"({"rope_theta": 1, "partial_rotary_factor": 2})",
       "partial_rotary_factor is 2"},
      {"rope_parameters", "[]", "rope_parameters is []; expected an object"},
  };
  for (const BadConfig& bad : cases) {
    const std::string message = error_of(with(bad.key, bad.value));
    EXPECT_NE(message.find(bad.expected), std::string::npos)
        << bad.key << " = " << bad.value << "\ngave: " << message << "\nexpected: " << bad.expected;
  }
  EXPECT_NE(error_of(Json::array()), "no error");
  EXPECT_NE(error_of(Json::object()).find("model_type is missing"), std::string::npos);
}

// Every key the parser needs, taken away one by one, is named.
TEST(ModelConfigTest, MissingKeysAreNamed) {
  for (const char* key :
       {"hidden_size", "intermediate_size", "vocab_size", "num_hidden_layers",
        "num_attention_heads", "num_key_value_heads", "head_dim", "linear_num_key_heads",
        "linear_num_value_heads", "linear_key_head_dim", "linear_value_head_dim",
        "linear_conv_kernel_dim", "rms_norm_eps", "max_position_embeddings"}) {
    Json json = text_config();
    json.erase(key);
    EXPECT_NE(error_of(json).find(std::string(key) + " is missing"), std::string::npos) << key;
  }
}

std::vector<int32_t> stop_ids(const std::string& json) {
  const auto ids = parse_stop_ids(*parse_json(json), *parse_model_config(text_config()));
  EXPECT_TRUE(ids.ok()) << (ids.ok() ? "" : ids.error().message);
  return ids.ok() ? *ids : std::vector<int32_t>{};
}

TEST(StopIds, TheFileWinsOverTheConfig) {
  EXPECT_EQ(stop_ids(R"({"eos_token_id": [248046, 248044]})"),
            (std::vector<int32_t>{248046, 248044}));
  EXPECT_EQ(stop_ids(R"({"eos_token_id": 5, "top_k": -1})"), std::vector<int32_t>{5});
  EXPECT_EQ(stop_ids("{}"), std::vector<int32_t>{248044});
  const auto absent = load_stop_ids("/no/such/directory", *parse_model_config(text_config()));
  ASSERT_TRUE(absent.ok());
  EXPECT_EQ(*absent, std::vector<int32_t>{248044});
}

TEST(StopIds, BadValuesAreNamed) {
  for (const char* value : {"248320", "-1", "\"5\"", "[1.5]"}) {
    Json json = Json::object();
    json["eos_token_id"] = *parse_json(value);
    const auto ids = parse_stop_ids(json, *parse_model_config(text_config()));
    ASSERT_FALSE(ids.ok()) << value;
    EXPECT_NE(ids.error().message.find("eos_token_id"), std::string::npos) << ids.error().message;
  }
}

}  // namespace
}  // namespace gallop::model
