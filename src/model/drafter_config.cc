#include "model/drafter_config.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "model/common_config.h"
#include "model/config_reader.h"
#include "model/rope_config.h"

namespace gallop::model {
namespace {

constexpr int64_t kMaxLayers = 256;
constexpr int64_t kMinBlock = 2;
constexpr int64_t kMaxBlock = 64;
constexpr size_t kMaxTargetLayers = 64;

constexpr const char* kArchitecture = "DFlashDraftModel";

// Keys of dflash_config that this version reads or may ignore (eagle_aux_hidden_state_layer_ids
// repeats target_layer_ids plus one). Any other could change the computation.
constexpr std::array<std::string_view, 7> kDflashKeys = {"mask_token_id",
                                                         "target_layer_ids",
                                                         "block_size",
                                                         "use_swa",
                                                         "swa_window_size",
                                                         "causal",
                                                         "eagle_aux_hidden_state_layer_ids"};

// Keys of relatives of DFlash, which compute something else, at the top level or in dflash_config.
struct ForeignKey {
  std::string_view key;
  std::string_view owner;
};
constexpr std::array<ForeignKey, 13> kForeignKeys = {{{"conv_kernel_size", "DFlash 2"},
                                                      {"conv_group_size", "DFlash 2"},
                                                      {"selector_rank", "DFlash 2"},
                                                      {"selector_top_k", "DFlash 2"},
                                                      {"output_multiplier", "DFlash 2"},
                                                      {"markov_rank", "DSpark"},
                                                      {"sample_from_anchor", "DSpark"},
                                                      {"confidence_head", "DSpark"},
                                                      {"use_confidence_head", "DSpark"},
                                                      {"projector_type", "Domino"},
                                                      {"mask_embedding", "another drafter"},
                                                      {"attention_sinks", "another drafter"},
                                                      {"draft_vocab_size", "another drafter"}}};

void refuse_foreign_keys(ConfigReader& reader) {
  for (const auto& [key, owner] : kForeignKeys) {
    const Json* value = reader.find(key);
    if (value == nullptr || (value->is_boolean() && !value->get<bool>())) continue;
    reader.fail(Error{fmt::format("{} is {}: a key of {}, which is not supported",
                                  reader.name_of(key), short_text(*value), owner),
                      ErrorCode::kInvalidInput, reader.name_of(key)});
  }
}

void refuse_unsupported(ConfigReader& reader, ConfigReader& nested, const Json& nested_json) {
  const auto architectures = reader.strings("architectures");
  if (architectures && std::find(architectures->begin(), architectures->end(), kArchitecture) ==
                           architectures->end()) {
    reader.fail("architectures", fmt::format("\"{}\" among them", kArchitecture));
  }
  if (!reader.has("dflash_config")) reader.fail("dflash_config", "an object");
  refuse_foreign_keys(reader);
  refuse_foreign_keys(nested);
  for (const auto& [key, value] : nested_json.items()) {
    if (std::find(kDflashKeys.begin(), kDflashKeys.end(), key) == kDflashKeys.end() &&
        !value.is_null()) {
      nested.fail(Error{fmt::format("{} is an unknown key", nested.name_of(key)),
                        ErrorCode::kInvalidInput, nested.name_of(key)});
    }
  }
  refuse_unsupported_common(reader);
}

void read_sizes(ConfigReader& reader, DrafterConfig& config) {
  read_common_sizes(reader, config);
  config.stated_target_layers =
      static_cast<int32_t>(reader.integer_or("num_target_layers", 0, 1, kMaxWidth));
  if (config.head_dim % 2 != 0) reader.fail("head_dim", "an even number");
}

void read_rope(ConfigReader& reader, DrafterConfig& config) {
  const RopeConfig rope = read_rope_config(reader, 1);
  config.rope_theta = rope.theta;
  if (rope.partial_factor != 1) reader.fail("partial_rotary_factor", "1: all of head_dim rotates");
}

// Newer checkpoints keep these in dflash_config, older ones at the top level.
void read_block(ConfigReader& reader, ConfigReader& nested, DrafterConfig& config) {
  const auto owner = [&](std::string_view key) -> ConfigReader& {
    return nested.has(key) ? nested : reader;
  };
  config.block =
      static_cast<int32_t>(owner("block_size").integer("block_size", kMinBlock, kMaxBlock));
  config.mask_token =
      static_cast<int32_t>(owner("mask_token_id").integer("mask_token_id", 0, kMaxVocab - 1));
  ConfigReader& ids = owner("target_layer_ids");
  config.target_layers = ids.integers("target_layer_ids", kMaxTargetLayers, 0, kMaxWidth);
  if (config.target_layers.empty()) ids.fail("target_layer_ids", "at least one layer");
}

// Which layers slide, from layer_types; empty when the key is absent.
std::vector<bool> read_sliding(ConfigReader& reader, int64_t layers) {
  const auto types = reader.strings("layer_types");
  std::vector<bool> sliding;
  if (!types) return sliding;
  if (static_cast<int64_t>(types->size()) != layers) {
    reader.fail("layer_types", fmt::format("{} of them (num_hidden_layers)", layers));
  }
  for (const std::string& type : *types) {
    if (type != "sliding_attention" && type != "full_attention") {
      reader.fail("layer_types", "\"sliding_attention\" or \"full_attention\" each");
    }
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

// Window: a layer slides when layer_types says so, or when no layer does and use_swa is set; its
// width is swa_window_size, else sliding_window. Causality inside the block: is_causal, else
// dflash_config.causal, else the layers that layer_types calls sliding. use_sliding_window is not
// asked: published drafters were trained with windows that this key would drop.
void read_layers(ConfigReader& reader, ConfigReader& nested, DrafterConfig& config) {
  const int64_t layers = reader.integer("num_hidden_layers", 1, kMaxLayers);
  std::vector<bool> sliding = read_sliding(reader, layers);
  sliding.resize(static_cast<size_t>(layers), false);
  const bool any_sliding = std::find(sliding.begin(), sliding.end(), true) != sliding.end();
  const bool all_windowed = !any_sliding && nested.boolean_or("use_swa", false);
  int32_t window = 0;
  if (any_sliding || all_windowed) {
    const bool own = nested.has("swa_window_size");
    window = static_cast<int32_t>(own ? nested.integer("swa_window_size", 1, kMaxPositions)
                                      : reader.integer("sliding_window", 1, kMaxPositions));
  }
  const bool stated = reader.has("is_causal") || nested.has("causal");
  const bool causal = reader.boolean_or("is_causal", nested.boolean_or("causal", false));
  for (const bool slides : sliding) {
    config.layers.push_back(
        {.window = slides || all_windowed ? window : 0, .causal = stated ? causal : slides});
  }
}

}  // namespace

Result<DrafterConfig> parse_drafter_config(const Json& json) {
  if (!json.is_object()) return Error{"expected a JSON object"};
  ConfigReader reader(json);
  const Json& nested_json = reader.object_or_empty("dflash_config");
  ConfigReader nested(nested_json, "dflash_config.");
  DrafterConfig config;
  refuse_unsupported(reader, nested, nested_json);
  read_sizes(reader, config);
  read_rope(reader, config);
  read_block(reader, nested, config);
  read_layers(reader, nested, config);
  if (reader.error()) return *reader.error();
  if (nested.error()) return *nested.error();
  return config;
}

Result<void> check_drafter_matches(const DrafterConfig& drafter, const ModelConfig& target) {
  const auto fail = [](std::string_view key, int64_t found, std::string_view what,
                       int64_t expected) {
    return Error{fmt::format("{} is {}; {} {}", key, found, what, expected),
                 ErrorCode::kInvalidInput, std::string(key)};
  };
  if (drafter.hidden != target.hidden) {
    return fail("hidden_size", drafter.hidden, "the target's is", target.hidden);
  }
  if (drafter.vocab != target.vocab) {
    return fail("vocab_size", drafter.vocab, "the target's is", target.vocab);
  }
  if (drafter.mask_token >= target.vocab) {
    return fail("mask_token_id", drafter.mask_token, "the target's vocab_size is", target.vocab);
  }
  if (drafter.stated_target_layers != 0 && drafter.stated_target_layers != target.layers()) {
    return fail("num_target_layers", drafter.stated_target_layers, "the target's layers are",
                target.layers());
  }
  for (const int32_t layer : drafter.target_layers) {
    if (layer >= target.layers()) {
      return fail("target_layer_ids", layer, "the number of the target's layers is",
                  target.layers());
    }
  }
  return {};
}

}  // namespace gallop::model
