#include "model/place_weights.h"

namespace gallop::model {
namespace {

AttentionWeights place(const AttentionWeights& weights, ops::Backend& backend) {
  return {.qkv = backend.place(weights.qkv),
          .q_norm = backend.place(weights.q_norm),
          .k_norm = backend.place(weights.k_norm),
          .out = backend.place(weights.out)};
}

GdnWeights place(const GdnWeights& weights, ops::Backend& backend) {
  return {.in = backend.place(weights.in),
          .conv = backend.place(weights.conv),
          .a_log = backend.place(weights.a_log),
          .dt_bias = backend.place(weights.dt_bias),
          .norm = backend.place(weights.norm),
          .out = backend.place(weights.out)};
}

MlpWeights place(const MlpWeights& weights, ops::Backend& backend) {
  return {.gate_up = backend.place(weights.gate_up), .down = backend.place(weights.down)};
}

}  // namespace

ModelWeights place_weights(const ModelWeights& weights, ops::Backend& backend) {
  ModelWeights placed{.embed = backend.place(weights.embed),
                      .layers = {},
                      .norm = backend.place(weights.norm),
                      .head = backend.place(weights.head)};
  for (const LayerWeights& layer : weights.layers) {
    const auto place_mixer = [&](const auto& mixer) {
      return std::variant<AttentionWeights, GdnWeights>(place(mixer, backend));
    };
    placed.layers.push_back({.input_norm = backend.place(layer.input_norm),
                             .post_norm = backend.place(layer.post_norm),
                             .mixer = std::visit(place_mixer, layer.mixer),
                             .mlp = place(layer.mlp, backend)});
  }
  return placed;
}

DrafterWeights place_weights(const DrafterWeights& weights, ops::Backend& backend) {
  DrafterWeights placed{.fc = backend.place(weights.fc),
                        .hidden_norm = backend.place(weights.hidden_norm),
                        .layers = {},
                        .norm = backend.place(weights.norm)};
  for (const DrafterLayerWeights& layer : weights.layers) {
    placed.layers.push_back({.input_norm = backend.place(layer.input_norm),
                             .post_norm = backend.place(layer.post_norm),
                             .q = backend.place(layer.q),
                             .kv = backend.place(layer.kv),
                             .q_norm = backend.place(layer.q_norm),
                             .k_norm = backend.place(layer.k_norm),
                             .out = backend.place(layer.out),
                             .mlp = place(layer.mlp, backend)});
  }
  return placed;
}

}  // namespace gallop::model
