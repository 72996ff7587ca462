#include "model/model_cache.h"

#include <array>

namespace gallop::model {
namespace {

using Reserved = std::vector<size_t>;

Reserved reserve_attention(Arena& arena, const CacheSizes& sizes, int64_t heads, int64_t dim,
                           DType dtype) {
  const Shape shape{sizes.pages, sizes.page_tokens, heads, dim};
  return {arena.reserve(dtype, shape), arena.reserve(dtype, shape)};
}

Reserved reserve_gdn(Arena& arena, const CacheSizes& sizes, const ModelConfig& config,
                     DType activation) {
  const int64_t conv_ring = config.conv_width - 1 + sizes.max_block;
  const int64_t ring = 2 * sizes.max_block;
  const DType f32 = DType::kF32;
  return {arena.reserve(activation, {sizes.slots, conv_ring, config.conv_channels()}),
          arena.reserve(f32, {sizes.slots, config.v_heads, config.k_dim, config.v_dim}),
          arena.reserve(f32, {sizes.slots, ring, config.k_heads, config.k_dim}),
          arena.reserve(f32, {sizes.slots, ring, config.v_heads, config.v_dim}),
          arena.reserve(f32, {sizes.slots, ring, config.v_heads})};
}

// An attention layer has two tensors, a GDN layer five: the order of the fields above.
LayerCache place_layer(const Arena& arena, const Reserved& numbers, const Buffer& memory) {
  const auto tensor = [&](size_t i) { return arena.place(numbers[i], memory); };
  if (numbers.size() == 2) return AttentionCache{.k_pages = tensor(0), .v_pages = tensor(1)};
  return GdnCache{.conv_ring = tensor(0),
                  .state = tensor(1),
                  .ring_k = tensor(2),
                  .ring_u = tensor(3),
                  .ring_g = tensor(4)};
}

Result<ModelCache> allocate(const Arena& arena, const std::vector<Reserved>& layers,
                            ops::Backend& backend) {
  ModelCache cache;
  ASSIGN_OR_RETURN(cache.memory, backend.allocate(arena.bytes()));
  for (const Reserved& numbers : layers) {
    cache.layers.push_back(place_layer(arena, numbers, cache.memory));
  }
  return cache;
}

}  // namespace

Result<ModelCache> allocate_cache(const ModelConfig& config, const CacheSizes& sizes,
                                  ops::Backend& backend) {
  Arena arena;
  std::vector<Reserved> layers;
  for (const LayerKind kind : config.layer_kinds) {
    if (kind == LayerKind::kFullAttention) {
      layers.push_back(
          reserve_attention(arena, sizes, config.kv_heads, config.head_dim, backend.cache_dtype()));
    } else {
      layers.push_back(reserve_gdn(arena, sizes, config, backend.activation_dtype()));
    }
  }
  return allocate(arena, layers, backend);
}

Result<ModelCache> allocate_cache(const DrafterConfig& config, const CacheSizes& sizes,
                                  ops::Backend& backend) {
  Arena arena;
  std::vector<Reserved> layers;
  for (size_t i = 0; i < config.layers.size(); ++i) {
    layers.push_back(
        reserve_attention(arena, sizes, config.kv_heads, config.head_dim, backend.cache_dtype()));
  }
  return allocate(arena, layers, backend);
}

}  // namespace gallop::model
