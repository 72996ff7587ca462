// The device memory behind the sequences of one model: paged keys and values of its attention
// layers, states and rings of its GDN layers. Which page or slot belongs to whom is decided above.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "model/drafter_config.h"
#include "ops/backend.h"
#include "tensor/buffer.h"

namespace gallop::model {

struct AttentionCache {
  // [pages, page_tokens, kv_heads, head_dim] cache dtype; keys are stored after norm and rope.
  TensorView k_pages;
  TensorView v_pages;
};

struct GdnCache {
  TensorView conv_ring;  // [slots, conv_width - 1 + max_block, channels] activation dtype
  TensorView state;      // [slots, v_heads, k_dim, v_dim] f32
  TensorView ring_k;     // [slots, 2 * max_block, k_heads, k_dim] f32
  TensorView ring_u;     // [slots, 2 * max_block, v_heads, v_dim] f32
  TensorView ring_g;     // [slots, 2 * max_block, v_heads] f32
};

using LayerCache = std::variant<AttentionCache, GdnCache>;

struct CacheSizes {
  int32_t pages = 0;
  int32_t page_tokens = 0;
  int32_t slots = 0;
  int32_t max_block = 1;  // most provisional rows of a sequence in one step
};

// Owns the memory; the views stay valid while it lives. No layer's content needs clearing: position
// 0 starts from zero.
struct ModelCache {
  std::vector<LayerCache> layers;
  Buffer memory;
};

// One layer after the other in one allocation; kUnavailable when the device has not enough.
Result<ModelCache> allocate_cache(const ModelConfig& config, const CacheSizes& sizes,
                                  ops::Backend& backend);
Result<ModelCache> allocate_cache(const DrafterConfig& config, const CacheSizes& sizes,
                                  ops::Backend& backend);

}  // namespace gallop::model
