// What the configs of target and drafter have in common: bounds, the sizes of attention and MLP,
// and what neither may ask for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include "model/config_reader.h"

namespace gallop::model {

// Bounds that no model of the family comes near; they keep every product of sizes inside 63 bits
// and a hostile config from asking for absurd memory.
inline constexpr int64_t kMaxWidth = 1 << 20;  // hidden, intermediate
inline constexpr int64_t kMaxVocab = 1 << 24;  // token ids are below 2^24
inline constexpr int64_t kMaxHeads = 1024;
inline constexpr int64_t kMaxHeadDim = 1024;
inline constexpr int64_t kMaxPositions = 1 << 26;
inline constexpr size_t kMaxEosIds = 64;

// What changes the computation and is not built: a model that has it would answer wrongly.
void refuse_unsupported_common(ConfigReader& reader);

// Fills the fields that ModelConfig and DrafterConfig share.
template <typename Config>
void read_common_sizes(ConfigReader& reader, Config& config) {
  config.hidden = reader.integer("hidden_size", 1, kMaxWidth);
  config.intermediate = reader.integer("intermediate_size", 1, kMaxWidth);
  config.vocab = reader.integer("vocab_size", 1, kMaxVocab);
  config.q_heads = reader.integer("num_attention_heads", 1, kMaxHeads);
  config.kv_heads = reader.integer("num_key_value_heads", 1, kMaxHeads);
  config.head_dim = reader.integer("head_dim", 2, kMaxHeadDim);
  config.rms_norm_eps = reader.number("rms_norm_eps", 0, 1);
  if (config.q_heads % config.kv_heads != 0) {
    reader.fail("num_attention_heads",
                fmt::format("a multiple of num_key_value_heads {}", config.kv_heads));
  }
}

// A number or a list of ids, each a row of the vocabulary; empty when absent.
std::vector<int32_t> read_eos_ids(ConfigReader& reader, int64_t vocab);

}  // namespace gallop::model
