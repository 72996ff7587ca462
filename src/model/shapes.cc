#include "model/shapes.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace gallop::model {
namespace {

constexpr int64_t kMaxLayers = 1024;  // of a config that loads

// Source: Qwen/Qwen3.5-27B, config.json, text_config.
constexpr const char* k27b = R"({
  "architectures": ["Qwen3_5ForCausalLM"], "model_type": "qwen3_5_text", "dtype": "bfloat16",
  "vocab_size": 248320, "hidden_size": 5120, "intermediate_size": 17408, "num_hidden_layers": 64,
  "full_attention_interval": 4, "num_attention_heads": 24, "num_key_value_heads": 4,
  "head_dim": 256, "attn_output_gate": true, "attention_bias": false, "attention_dropout": 0.0,
  "linear_num_key_heads": 16, "linear_num_value_heads": 48, "linear_key_head_dim": 128,
  "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "mamba_ssm_dtype": "float32",
  "hidden_act": "silu", "rms_norm_eps": 1e-06, "tie_word_embeddings": false,
  "initializer_range": 0.02, "max_position_embeddings": 262144, "use_cache": true,
  "rope_parameters": {"rope_type": "default", "rope_theta": 10000000,
    "partial_rotary_factor": 0.25, "mrope_interleaved": true, "mrope_section": [11, 11, 10]},
  "eos_token_id": 248044})";

// The same proportions where a test wants them: every kind of layer, grouped heads of both kinds.
constexpr const char* kTiny = R"({
  "architectures": ["Qwen3_5ForCausalLM"], "model_type": "qwen3_5_text", "dtype": "bfloat16",
  "vocab_size": 512, "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4,
  "full_attention_interval": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
  "head_dim": 64, "attn_output_gate": true, "attention_bias": false, "attention_dropout": 0.0,
  "linear_num_key_heads": 2, "linear_num_value_heads": 6, "linear_key_head_dim": 32,
  "linear_value_head_dim": 32, "linear_conv_kernel_dim": 4, "mamba_ssm_dtype": "float32",
  "hidden_act": "silu", "rms_norm_eps": 1e-06, "tie_word_embeddings": false,
  "initializer_range": 0.02, "max_position_embeddings": 4096, "use_cache": true,
  "rope_parameters": {"rope_type": "default", "rope_theta": 10000000,
    "partial_rotary_factor": 0.25, "mrope_interleaved": true, "mrope_section": [3, 3, 2]},
  "eos_token_id": 511})";

const char* name_of(LayerKind kind) {
  return kind == LayerKind::kFullAttention ? "full_attention" : "linear_attention";
}

// The drafter's layers, and the layers of the target that it reads.
constexpr int64_t kDrafterLayers = 5;

// From layer 1 to the fourth from the end in even steps; of a model that is too short for that, the
// first layers. Source: z-lab/dflash, build_target_layer_ids: round(1 + i (N - 4) / (n - 1)).
std::vector<int64_t> tapped_layers(int64_t layers) {
  const int64_t taps = std::min(kDrafterLayers, layers);
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < taps; ++i) {
    const bool fits = layers >= kDrafterLayers + 3;
    const double even = 1 + static_cast<double>(i * (layers - 4)) / (kDrafterLayers - 1);
    ids.push_back(fits ? static_cast<int64_t>(std::nearbyint(even)) : i);
  }
  return ids;
}

}  // namespace

Result<Json> named_shape(std::string_view name) {
  if (name == "qwen3.5-27b") return parse_json(k27b);
  if (name == "qwen3.5-tiny") return parse_json(kTiny);
  return Error{
      fmt::format("there is no shape '{}': expected qwen3.5-27b, qwen3.5-tiny or a "
                  "config.json of the family",
                  name)};
}

Result<Json> with_layers(Json config, int64_t layers) {
  if (layers < 1 || layers > kMaxLayers) {
    return Error{fmt::format("layers must be in [1, {}], they are {}", kMaxLayers, layers)};
  }
  ASSIGN_OR_RETURN(const ModelConfig parsed, parse_model_config(config));
  const std::vector<LayerKind>& kinds = parsed.layer_kinds;
  const auto count = static_cast<int64_t>(kinds.size());
  Json types = Json::array();
  for (int64_t i = 0; i < layers; ++i) {
    const int64_t place = (count - layers % count + i) % count;
    types.push_back(name_of(kinds[static_cast<size_t>(place)]));
  }
  Json& text = config.contains("text_config") ? config["text_config"] : config;
  text["num_hidden_layers"] = layers;
  text["layer_types"] = std::move(types);
  text.erase("full_attention_interval");
  return config;
}

Json drafter_shape(const ModelConfig& target) {
  constexpr int64_t kHeadDim = 128;
  constexpr int64_t kQueriesPerKey = 4;
  constexpr int64_t kPublishedMask = 248070;
  const int64_t kv_heads = std::clamp<int64_t>(target.hidden / kHeadDim, 1, 8);
  const std::vector<int64_t> taps = tapped_layers(target.layers());
  const int64_t layers = std::min(kDrafterLayers, target.layers());
  return {{"architectures", {"DFlashDraftModel"}},
          {"model_type", "qwen3"},
          {"dtype", "bfloat16"},
          {"hidden_size", target.hidden},
          {"num_hidden_layers", layers},
          {"num_attention_heads", kQueriesPerKey * kv_heads},
          {"num_key_value_heads", kv_heads},
          {"head_dim", kHeadDim},
          {"intermediate_size", target.intermediate},
          {"hidden_act", "silu"},
          {"rms_norm_eps", 1e-6},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"rope_theta", 10000000},
          {"rope_scaling", nullptr},
          {"max_position_embeddings", target.max_positions},
          {"vocab_size", target.vocab},
          {"tie_word_embeddings", false},
          {"block_size", 16},
          {"num_target_layers", target.layers()},
          {"layer_types", std::vector<std::string>(static_cast<size_t>(layers), "full_attention")},
          {"dflash_config",
           {{"mask_token_id", std::min(kPublishedMask, target.vocab - 1)},
            {"target_layer_ids", taps}}}};
}

}  // namespace gallop::model
