// The sizes and constants of a DFlash drafter (z-lab layout), read from its config.json and
// checked, by itself and against the target whose embedding and head it shares.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/config.h"

namespace gallop::model {

struct DrafterLayerConfig {
  int32_t window = 0;   // keys a row sees, itself included; 0: all
  bool causal = false;  // inside the block
};

struct DrafterConfig {
  int64_t hidden = 0;  // the target's
  int64_t intermediate = 0;
  int64_t vocab = 0;    // the target's
  int64_t q_heads = 0;  // a multiple of kv_heads
  int64_t kv_heads = 0;
  int64_t head_dim = 0;  // even; q_heads * head_dim need not be hidden

  std::vector<DrafterLayerConfig> layers;  // at least one

  float rms_norm_eps = 0;
  float rope_theta = 0;                // over all of head_dim
  int32_t block = 0;                   // block_size: anchor and masks, 2..64
  int32_t mask_token = 0;              // mask_token_id: a row of the target's embedding
  int32_t stated_target_layers = 0;    // num_target_layers; 0: not stated
  std::vector<int32_t> target_layers;  // target_layer_ids: 0-based, output of that layer

  // Width of the features of one token: the captured layers side by side.
  int64_t feature_width() const { return static_cast<int64_t>(target_layers.size()) * hidden; }
};

// Takes a whole config.json. Errors name the key; the caller adds the path.
Result<DrafterConfig> parse_drafter_config(const Json& json);

// What the pair must agree on: hidden, vocab, number of layers, layer ids, mask id.
Result<void> check_drafter_matches(const DrafterConfig& drafter, const ModelConfig& target);

}  // namespace gallop::model
