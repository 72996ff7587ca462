#include <cmath>

#include "model/blocks.h"

namespace gallop::model {

void run_attention_block(const BlockContext& context, const AttentionWeights& weights,
                         const AttentionCache& cache) {
  const auto& [ops, config, batch, act] = context;
  const int64_t rows = batch.rows();
  const int64_t q_heads = config.q_heads;
  const int64_t kv_heads = config.kv_heads;
  const int64_t dim = config.head_dim;

  // Stacked outputs: per query head [query | gate], then keys, then values.
  const int64_t k_begin = 2 * q_heads * dim;
  const int64_t v_begin = k_begin + kv_heads * dim;
  const TensorView qkv = act.projected.columns(0, v_begin + kv_heads * dim);
  ops.run(ops::Linear{.out = qkv, .x = act.normed, .weight = &weights.qkv});
  const TensorView query_gate = qkv.columns(0, k_begin).reshaped({rows, q_heads, 2 * dim});
  const TensorView key = qkv.columns(k_begin, v_begin).reshaped({rows, kv_heads, dim});
  const TensorView value =
      qkv.columns(v_begin, v_begin + kv_heads * dim).reshaped({rows, kv_heads, dim});

  const TensorView q = act.q.reshaped({rows, q_heads, dim});
  const TensorView k = act.k.reshaped({rows, kv_heads, dim});
  ops::NormRope norm_rope{.out = q,
                          .x = query_gate.columns(0, dim),
                          .weight = weights.q_norm,
                          .positions = batch.positions,
                          .weight_offset = 1,
                          .eps = config.rms_norm_eps,
                          .theta = config.rope_theta,
                          .rotary_dim = config.rotary_dim};
  ops.run(norm_rope);
  norm_rope.out = k;
  norm_rope.x = key;
  norm_rope.weight = weights.k_norm;
  ops.run(norm_rope);
  ops.run(ops::KvWrite{.k = k,
                       .v = value,
                       .slots = batch.kv_slots,
                       .k_pages = cache.k_pages,
                       .v_pages = cache.v_pages});

  const TensorView mixed = act.mixed.columns(0, q_heads * dim);
  const TensorView heads = mixed.reshaped({rows, q_heads, dim});
  ops.run(ops::PagedAttention{.out = heads,
                              .q = q,
                              .k_pages = cache.k_pages,
                              .v_pages = cache.v_pages,
                              .batch = batch,
                              .scale = 1.0f / std::sqrt(static_cast<float>(dim))});
  ops.run(ops::SigmoidMul{.x = heads, .gate = query_gate.columns(dim, 2 * dim)});
  ops.run(ops::Linear{.out = act.delta, .x = mixed, .weight = &weights.out});
}

}  // namespace gallop::model
