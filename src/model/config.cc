#include "model/config.h"

#include <string>

#include <fmt/format.h>

#include "model/common_config.h"
#include "model/config_reader.h"
#include "model/quantization_config.h"
#include "model/rope_config.h"

namespace gallop::model {
namespace {

constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxConvWidth = 64;
constexpr int64_t kDefaultInterval = 4;  // Qwen3_5TextConfig: every fourth layer is full attention
constexpr double kDefaultRotaryFactor = 0.25;  // Qwen3_5TextConfig, partial_rotary_factor
constexpr std::array<int32_t, 3> kDefaultMropeSection = {11, 11, 10};  // Qwen3_5TextRotaryEmbedding

constexpr const char* kTextType = "qwen3_5_text";
constexpr const char* kWholeType = "qwen3_5";

void read_sizes(ConfigReader& reader, ModelConfig& config) {
  read_common_sizes(reader, config);
  config.k_heads = reader.integer("linear_num_key_heads", 1, kMaxHeads);
  config.v_heads = reader.integer("linear_num_value_heads", 1, kMaxHeads);
  config.k_dim = reader.integer("linear_key_head_dim", 1, kMaxHeadDim);
  config.v_dim = reader.integer("linear_value_head_dim", 1, kMaxHeadDim);
  config.conv_width = reader.integer("linear_conv_kernel_dim", 2, kMaxConvWidth);
  config.max_positions =
      static_cast<int32_t>(reader.integer("max_position_embeddings", 1, kMaxPositions));
  config.eos_ids = read_eos_ids(reader, config.vocab);
  if (config.v_heads % config.k_heads != 0) {
    reader.fail("linear_num_value_heads",
                fmt::format("a multiple of linear_num_key_heads {}", config.k_heads));
  }
}

void read_layer_kinds(ConfigReader& reader, ModelConfig& config) {
  const int64_t layers = reader.integer("num_hidden_layers", 1, kMaxLayers);
  const auto types = reader.strings("layer_types");
  if (!types) {
    const int64_t interval =
        reader.integer_or("full_attention_interval", kDefaultInterval, 1, kMaxLayers);
    for (int64_t i = 0; i < layers; ++i) {
      config.layer_kinds.push_back((i + 1) % interval == 0 ? LayerKind::kFullAttention
                                                           : LayerKind::kLinearAttention);
    }
    return;
  }
  if (static_cast<int64_t>(types->size()) != layers) {
    reader.fail("layer_types", fmt::format("{} of them (num_hidden_layers)", layers));
  }
  for (const std::string& type : *types) {
    if (type != "linear_attention" && type != "full_attention") {
      reader.fail(Error{fmt::format("{} holds '{}'; expected 'linear_attention' or "
                                    "'full_attention'",
                                    reader.name_of("layer_types"), type),
                        ErrorCode::kInvalidInput, reader.name_of("layer_types")});
    }
    config.layer_kinds.push_back(type == "full_attention" ? LayerKind::kFullAttention
                                                          : LayerKind::kLinearAttention);
  }
}

void refuse_unsupported(ConfigReader& reader) {
  refuse_unsupported_common(reader);
  if (!reader.boolean_or("attn_output_gate", true)) reader.fail("attn_output_gate", "true");
}

void read_mrope_section(ConfigReader& reader, const Json& rope, ModelConfig& config) {
  ConfigReader rope_reader(rope, reader.name_of("rope_parameters."));
  config.mrope_section = kDefaultMropeSection;
  if (rope_reader.has("mrope_section")) {
    const std::vector<int32_t> section = rope_reader.integers("mrope_section", 3, 0, kMaxHeadDim);
    if (section.size() != 3) rope_reader.fail("mrope_section", "three integers");
    for (size_t i = 0; i < 3 && i < section.size(); ++i) config.mrope_section[i] = section[i];
  }
  const auto& [t, h, w] = config.mrope_section;
  if (2 * (t + h + w) != config.rotary_dim) {
    rope_reader.fail(
        "mrope_section",
        fmt::format("three integers whose sum is half the rotary width {} (head_dim {} times "
                    "partial_rotary_factor)",
                    config.rotary_dim, config.head_dim));
  }
  if (!rope_reader.boolean_or("mrope_interleaved", true)) {
    rope_reader.fail("mrope_interleaved", "true");
  }
  if (rope_reader.error()) reader.fail(*rope_reader.error());
}

void read_rope(ConfigReader& reader, ModelConfig& config) {
  const RopeConfig rope = read_rope_config(reader, kDefaultRotaryFactor);
  config.rope_theta = rope.theta;
  // Truncates as Hugging Face's int(head_dim * factor) does.
  config.rotary_dim =
      static_cast<int32_t>(static_cast<double>(config.head_dim) * rope.partial_factor);
  if (config.rotary_dim < 2 || config.rotary_dim % 2 != 0) {
    const std::string key = reader.name_of("partial_rotary_factor");
    reader.fail(Error{fmt::format("{} {} of head_dim {} gives a rotary width of {}; expected an "
                                  "even number",
                                  key, rope.partial_factor, config.head_dim, config.rotary_dim),
                      ErrorCode::kInvalidInput, key});
  }
  read_mrope_section(reader, *rope.parameters, config);
}

Result<ModelConfig> parse_text_config(const Json& json, const std::string& where) {
  ConfigReader reader(json, where);
  if (const std::string type = reader.string_or("model_type", kTextType); type != kTextType) {
    reader.fail("model_type", fmt::format("\"{}\"", kTextType));
  }
  ModelConfig config;
  refuse_unsupported(reader);
  read_sizes(reader, config);
  read_layer_kinds(reader, config);
  read_rope(reader, config);
  config.tied_head = reader.boolean_or("tie_word_embeddings", false);
  if (reader.error()) return *reader.error();
  return config;
}

}  // namespace

Result<ModelConfig> parse_model_config(const Json& json) {
  if (!json.is_object()) return Error{"expected a JSON object"};
  ConfigReader reader(json);
  const std::string type = reader.string_or("model_type", "");
  if (type == kTextType) return parse_text_config(json, "");
  if (type != kWholeType) {
    reader.fail("model_type", fmt::format("\"{}\" or \"{}\"", kWholeType, kTextType));
  } else if (!reader.has("text_config")) {
    reader.fail("text_config", "an object");
  }
  check_quantization_config(reader);
  const Json& text = reader.object_or_empty("text_config");
  // The model class that holds both towers ties its head by the outer key; a missing one leaves it
  // to text_config.
  const bool outer_tied = reader.boolean_or("tie_word_embeddings", false);
  if (reader.error()) return *reader.error();
  ASSIGN_OR_RETURN(ModelConfig config, parse_text_config(text, "text_config."));
  if (reader.has("tie_word_embeddings")) config.tied_head = outer_tied;
  if (config.eos_ids.empty()) config.eos_ids = read_eos_ids(reader, config.vocab);
  if (reader.error()) return *reader.error();
  return config;
}

}  // namespace gallop::model
