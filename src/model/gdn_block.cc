#include "model/blocks.h"

namespace gallop::model {

void run_gdn_block(const BlockContext& context, const GdnWeights& weights, const GdnCache& cache) {
  const auto& [ops, config, batch, act] = context;
  const int64_t rows = batch.rows();
  const int64_t v_heads = config.v_heads;
  const int64_t v_dim = config.v_dim;

  // Stacked outputs: q, k and v together (the convolution's channels), then z, b, a.
  const int64_t z_begin = config.conv_channels();
  const int64_t b_begin = z_begin + v_heads * v_dim;
  const int64_t a_begin = b_begin + v_heads;
  const TensorView projected = act.projected.columns(0, a_begin + v_heads);
  ops.run(ops::Linear{.out = projected, .x = act.normed, .weight = &weights.in});

  ops.run(ops::CausalConv1d{.out = act.convolved,
                            .x = projected.columns(0, z_begin),
                            .weight = weights.conv,
                            .ring = cache.conv_ring,
                            .batch = batch});
  const TensorView mixed = act.mixed.columns(0, v_heads * v_dim);
  const TensorView heads = mixed.reshaped({rows, v_heads, v_dim});
  ops.run(ops::GdnUpdate{.out = heads,
                         .qkv = act.convolved,
                         .a = projected.columns(a_begin, a_begin + v_heads),
                         .b = projected.columns(b_begin, a_begin),
                         .a_log = weights.a_log,
                         .dt_bias = weights.dt_bias,
                         .state = cache.state,
                         .ring_k = cache.ring_k,
                         .ring_u = cache.ring_u,
                         .ring_g = cache.ring_g,
                         .batch = batch});
  ops.run(ops::GatedRmsNorm{
      .out = heads,
      .x = heads,
      .gate = projected.columns(z_begin, b_begin).reshaped({rows, v_heads, v_dim}),
      .weight = weights.norm,
      .eps = config.rms_norm_eps});
  ops.run(ops::Linear{.out = act.delta, .x = mixed, .weight = &weights.out});
}

}  // namespace gallop::model
