#include "model/drafter.h"

#include <cmath>

#include "model/blocks.h"
#include "model/place_weights.h"

namespace gallop::model {

Result<Drafter> Drafter::create(const LoadedDrafter& loaded, int64_t max_rows,
                                ops::Backend& backend) {
  ASSIGN_OR_RETURN(Activations activations, allocate_activations(loaded.config, max_rows, backend));
  return Drafter(loaded.config, place_weights(loaded.weights, backend), std::move(activations),
                 backend);
}

Drafter::Drafter(const DrafterConfig& config, DrafterWeights weights, Activations activations,
                 ops::Backend& backend)
    : config_(&config),
      weights_(std::move(weights)),
      activations_(std::move(activations)),
      backend_(&backend) {}

std::vector<Capture> Drafter::captures(const TensorView& features) const {
  std::vector<Capture> captures;
  int64_t column = 0;
  for (const int32_t layer : config_->target_layers) {
    captures.push_back({layer, features.columns(column, column + config_->hidden)});
    column += config_->hidden;
  }
  return captures;
}

std::vector<int32_t> Drafter::block_ids(int32_t anchor, int32_t rows) const {
  std::vector<int32_t> ids(static_cast<size_t>(rows), config_->mask_token);
  ids.front() = anchor;
  return ids;
}

void Drafter::write_context(const TensorView& features, const TensorView& positions,
                            const TensorView& kv_slots, ModelCache& cache) {
  const Activations act = activations_.first_rows(features.extent(0));
  backend_->run(ops::Linear{.out = act.delta, .x = features, .weight = &weights_.fc});
  backend_->run(ops::RmsNorm{.out = act.normed,
                             .x = act.delta,
                             .weight = weights_.hidden_norm,
                             .eps = config_->rms_norm_eps});
  const int64_t kv_width = 2 * config_->kv_heads * config_->head_dim;
  for (size_t layer = 0; layer < weights_.layers.size(); ++layer) {
    const TensorView kv = act.projected.columns(0, kv_width);
    backend_->run(ops::Linear{.out = kv, .x = act.normed, .weight = &weights_.layers[layer].kv});
    write_keys_values(layer, kv, positions, kv_slots, std::get<AttentionCache>(cache.layers[layer]),
                      act);
  }
}

// kv [rows, 2 * kv_heads * head_dim]: keys, then values.
void Drafter::write_keys_values(size_t layer, const TensorView& kv, const TensorView& positions,
                                const TensorView& kv_slots, const AttentionCache& cache,
                                const Activations& activations) {
  const int64_t rows = kv.extent(0);
  const int64_t width = config_->kv_heads * config_->head_dim;
  const Shape heads{rows, config_->kv_heads, config_->head_dim};
  const TensorView k = activations.k.reshaped(heads);
  backend_->run(ops::NormRope{.out = k,
                              .x = kv.columns(0, width).reshaped(heads),
                              .weight = weights_.layers[layer].k_norm,
                              .positions = positions,
                              .eps = config_->rms_norm_eps,
                              .theta = config_->rope_theta,
                              .rotary_dim = static_cast<int32_t>(config_->head_dim)});
  backend_->run(ops::KvWrite{.k = k,
                             .v = kv.columns(width, 2 * width).reshaped(heads),
                             .slots = kv_slots,
                             .k_pages = cache.k_pages,
                             .v_pages = cache.v_pages});
}

TensorView Drafter::forward(TextModel& target, const TensorView& ids, const ops::RaggedBatch& batch,
                            ModelCache& cache) {
  const Activations act = activations_.first_rows(batch.rows());
  target.embed(ids, act.residual);
  ops::AddRmsNorm add_norm{.residual = act.residual,
                           .delta = act.delta,
                           .out = act.normed,
                           .weight = {},
                           .eps = config_->rms_norm_eps};
  backend_->run(ops::RmsNorm{.out = act.normed,
                             .x = act.residual,
                             .weight = weights_.layers.front().input_norm,
                             .eps = config_->rms_norm_eps});
  for (size_t layer = 0; layer < weights_.layers.size(); ++layer) {
    run_attention(layer, batch, std::get<AttentionCache>(cache.layers[layer]), act);
    add_norm.weight = weights_.layers[layer].post_norm;
    backend_->run(add_norm);
    run_mlp_block(*backend_, weights_.layers[layer].mlp, act);
    const bool last = layer + 1 == weights_.layers.size();
    add_norm.weight = last ? weights_.norm : weights_.layers[layer + 1].input_norm;
    backend_->run(add_norm);
  }
  return act.normed;
}

void Drafter::run_attention(size_t layer, const ops::RaggedBatch& batch,
                            const AttentionCache& cache, const Activations& act) {
  const DrafterLayerWeights& weights = weights_.layers[layer];
  const DrafterLayerConfig& kind = config_->layers[layer];
  const int64_t dim = config_->head_dim;
  const int64_t q_width = config_->q_heads * dim;
  const int64_t kv_width = 2 * config_->kv_heads * dim;
  const Shape q_shape{batch.rows(), config_->q_heads, dim};

  const TensorView kv = act.projected.columns(0, kv_width);
  backend_->run(ops::Linear{.out = kv, .x = act.normed, .weight = &weights.kv});
  write_keys_values(layer, kv, batch.positions, batch.kv_slots, cache, act);

  const TensorView projected_q = act.projected.columns(0, q_width);
  const TensorView q = act.q.reshaped(q_shape);
  backend_->run(ops::Linear{.out = projected_q, .x = act.normed, .weight = &weights.q});
  backend_->run(ops::NormRope{.out = q,
                              .x = projected_q.reshaped(q_shape),
                              .weight = weights.q_norm,
                              .positions = batch.positions,
                              .eps = config_->rms_norm_eps,
                              .theta = config_->rope_theta,
                              .rotary_dim = static_cast<int32_t>(dim)});
  const TensorView mixed = act.mixed.columns(0, q_width);
  backend_->run(ops::PagedAttention{.out = mixed.reshaped(q_shape),
                                    .q = q,
                                    .k_pages = cache.k_pages,
                                    .v_pages = cache.v_pages,
                                    .batch = batch,
                                    .scale = 1.0f / std::sqrt(static_cast<float>(dim)),
                                    .causal = kind.causal,
                                    .window = kind.window});
  backend_->run(ops::Linear{.out = act.delta, .x = mixed, .weight = &weights.out});
}

}  // namespace gallop::model
