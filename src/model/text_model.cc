#include "model/text_model.h"

#include "model/blocks.h"
#include "model/place_weights.h"

namespace gallop::model {

Result<TextModel> TextModel::create(const LoadedModel& loaded, int64_t max_rows,
                                    ops::Backend& backend) {
  ASSIGN_OR_RETURN(Activations activations, allocate_activations(loaded.config, max_rows, backend));
  return TextModel(loaded.config, place_weights(loaded.weights, backend), std::move(activations),
                   backend);
}

TextModel::TextModel(const ModelConfig& config, ModelWeights weights, Activations activations,
                     ops::Backend& backend)
    : config_(&config),
      weights_(std::move(weights)),
      activations_(std::move(activations)),
      backend_(&backend) {}

TensorView TextModel::forward(const TensorView& ids, const ops::RaggedBatch& batch,
                              ModelCache& cache, std::span<const Capture> captures) {
  const Activations act = activations_.first_rows(batch.rows());
  embed(ids, act.residual);
  backend_->run(ops::RmsNorm{.out = act.normed,
                             .x = act.residual,
                             .weight = weights_.layers.front().input_norm,
                             .weight_offset = 1,
                             .eps = config_->rms_norm_eps});
  for (size_t i = 0; i < weights_.layers.size(); ++i) {
    const bool last = i + 1 == weights_.layers.size();
    const TensorView& next_norm = last ? weights_.norm : weights_.layers[i + 1].input_norm;
    run_layer(weights_.layers[i], cache.layers[i], batch, act, next_norm);
    for (const Capture& capture : captures) {
      if (capture.layer == static_cast<int32_t>(i)) {
        backend_->run(ops::CopyRows{.out = capture.out, .x = act.residual});
      }
    }
  }
  return act.normed;
}

// Mix tokens; add and normalise; MLP; add and normalise for the layer (or head) that follows.
void TextModel::run_layer(const LayerWeights& layer, LayerCache& cache,
                          const ops::RaggedBatch& batch, const Activations& activations,
                          const TensorView& next_norm) {
  const BlockContext context{*backend_, *config_, batch, activations};
  if (const auto* attention = std::get_if<AttentionWeights>(&layer.mixer)) {
    run_attention_block(context, *attention, std::get<AttentionCache>(cache));
  } else {
    run_gdn_block(context, std::get<GdnWeights>(layer.mixer), std::get<GdnCache>(cache));
  }
  ops::AddRmsNorm add_norm{.residual = activations.residual,
                           .delta = activations.delta,
                           .out = activations.normed,
                           .weight = layer.post_norm,
                           .weight_offset = 1,
                           .eps = config_->rms_norm_eps};
  backend_->run(add_norm);
  run_mlp_block(*backend_, layer.mlp, activations);
  add_norm.weight = next_norm;
  backend_->run(add_norm);
}

void TextModel::embed(const TensorView& ids, const TensorView& out) {
  backend_->run(ops::EmbedRows{.out = out, .table = weights_.embed, .ids = ids});
}

void TextModel::head(const TensorView& hidden, const TensorView& logits) {
  backend_->run(ops::Linear{.out = logits, .x = hidden, .weight = &weights_.head});
}

}  // namespace gallop::model
