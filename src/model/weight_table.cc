#include "model/weight_table.h"

#include <fmt/format.h>

namespace gallop::model {
namespace {

// Appends bindings whose names begin with a prefix.
class Binder {
 public:
  Binder(std::vector<TensorBinding>& bindings, std::string prefix)
      : bindings_(bindings), prefix_(std::move(prefix)) {}

  Binder below(std::string_view name) const {
    return Binder(bindings_, prefix_ + std::string(name));
  }
  void matrix(std::string_view name, int64_t n, int64_t k, TensorView& field) {
    add(name, {n, k}, TensorKind::kMatrix, field);
  }
  void linear(std::string_view name, int64_t n, int64_t k, ops::LinearPart& part) {
    bindings_.push_back({.name = prefix_ + std::string(name),
                         .shape = {n, k},
                         .kind = TensorKind::kLinear,
                         .part = &part});
  }
  void vector(std::string_view name, int64_t size, TensorView& field) {
    add(name, {size}, TensorKind::kVector, field);
  }
  void add(std::string_view name, std::vector<int64_t> shape, TensorKind kind, TensorView& field) {
    bindings_.push_back({.name = prefix_ + std::string(name),
                         .shape = std::move(shape),
                         .kind = kind,
                         .field = &field});
  }

 private:
  std::vector<TensorBinding>& bindings_;
  std::string prefix_;
};

void bind_single(Binder binder, std::string_view name, int64_t n, int64_t k,
                 ops::LinearWeight& weight) {
  weight.parts.resize(1);
  binder.linear(name, n, k, weight.parts[0]);
}

void bind_mlp(Binder binder, int64_t hidden, int64_t intermediate, MlpWeights& weights) {
  weights.gate_up.parts.resize(2);
  binder.linear("gate_proj.weight", intermediate, hidden, weights.gate_up.parts[0]);
  binder.linear("up_proj.weight", intermediate, hidden, weights.gate_up.parts[1]);
  bind_single(binder, "down_proj.weight", hidden, intermediate, weights.down);
}

void bind_attention(Binder binder, const ModelConfig& config, AttentionWeights& weights) {
  const int64_t q = config.q_heads * config.head_dim;
  const int64_t kv = config.kv_heads * config.head_dim;
  weights.qkv.parts.resize(3);
  binder.linear("q_proj.weight", 2 * q, config.hidden, weights.qkv.parts[0]);
  binder.linear("k_proj.weight", kv, config.hidden, weights.qkv.parts[1]);
  binder.linear("v_proj.weight", kv, config.hidden, weights.qkv.parts[2]);
  binder.vector("q_norm.weight", config.head_dim, weights.q_norm);
  binder.vector("k_norm.weight", config.head_dim, weights.k_norm);
  bind_single(binder, "o_proj.weight", config.hidden, q, weights.out);
}

void bind_gdn(Binder binder, const ModelConfig& config, GdnWeights& weights) {
  const int64_t channels = config.conv_channels();
  const int64_t v = config.v_heads * config.v_dim;
  weights.in.parts.resize(4);
  binder.linear("in_proj_qkv.weight", channels, config.hidden, weights.in.parts[0]);
  binder.linear("in_proj_z.weight", v, config.hidden, weights.in.parts[1]);
  binder.linear("in_proj_b.weight", config.v_heads, config.hidden, weights.in.parts[2]);
  binder.linear("in_proj_a.weight", config.v_heads, config.hidden, weights.in.parts[3]);
  binder.add("conv1d.weight", {channels, 1, config.conv_width}, TensorKind::kVector, weights.conv);
  binder.vector("A_log", config.v_heads, weights.a_log);
  binder.vector("dt_bias", config.v_heads, weights.dt_bias);
  binder.vector("norm.weight", config.v_dim, weights.norm);
  bind_single(binder, "out_proj.weight", config.hidden, v, weights.out);
}

void bind_layer(Binder binder, const ModelConfig& config, LayerKind kind, LayerWeights& layer) {
  binder.vector("input_layernorm.weight", config.hidden, layer.input_norm);
  binder.vector("post_attention_layernorm.weight", config.hidden, layer.post_norm);
  if (kind == LayerKind::kFullAttention) {
    bind_attention(binder.below("self_attn."), config, layer.mixer.emplace<AttentionWeights>());
  } else {
    bind_gdn(binder.below("linear_attn."), config, layer.mixer.emplace<GdnWeights>());
  }
  bind_mlp(binder.below("mlp."), config.hidden, config.intermediate, layer.mlp);
}

void bind_layer(Binder binder, const DrafterConfig& config, DrafterLayerWeights& layer) {
  const int64_t q = config.q_heads * config.head_dim;
  const int64_t kv = config.kv_heads * config.head_dim;
  binder.vector("input_layernorm.weight", config.hidden, layer.input_norm);
  binder.vector("post_attention_layernorm.weight", config.hidden, layer.post_norm);
  Binder attention = binder.below("self_attn.");
  bind_single(attention, "q_proj.weight", q, config.hidden, layer.q);
  layer.kv.parts.resize(2);
  attention.linear("k_proj.weight", kv, config.hidden, layer.kv.parts[0]);
  attention.linear("v_proj.weight", kv, config.hidden, layer.kv.parts[1]);
  attention.vector("q_norm.weight", config.head_dim, layer.q_norm);
  attention.vector("k_norm.weight", config.head_dim, layer.k_norm);
  bind_single(attention, "o_proj.weight", config.hidden, q, layer.out);
  bind_mlp(binder.below("mlp."), config.hidden, config.intermediate, layer.mlp);
}

}  // namespace

bool is_weight_dtype(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
}

std::vector<TensorBinding> bind_tensors(const ModelConfig& config, std::string_view prefix,
                                        ModelWeights& weights) {
  std::vector<TensorBinding> bindings;
  Binder text(bindings, std::string(prefix));
  text.matrix("embed_tokens.weight", config.vocab, config.hidden, weights.embed);
  weights.layers.resize(config.layer_kinds.size());
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    bind_layer(text.below(fmt::format("layers.{}.", i)), config, config.layer_kinds[i],
               weights.layers[i]);
  }
  text.vector("norm.weight", config.hidden, weights.norm);
  weights.head.parts.resize(1);
  if (!config.tied_head) {
    Binder(bindings, "")
        .linear("lm_head.weight", config.vocab, config.hidden, weights.head.parts[0]);
  }
  return bindings;
}

std::vector<TensorBinding> bind_tensors(const DrafterConfig& config, std::string_view prefix,
                                        DrafterWeights& weights) {
  std::vector<TensorBinding> bindings;
  Binder drafter(bindings, std::string(prefix));
  bind_single(drafter, "fc.weight", config.hidden, config.feature_width(), weights.fc);
  drafter.vector("hidden_norm.weight", config.hidden, weights.hidden_norm);
  weights.layers.resize(config.layers.size());
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    bind_layer(drafter.below(fmt::format("layers.{}.", i)), config, weights.layers[i]);
  }
  drafter.vector("norm.weight", config.hidden, weights.norm);
  return bindings;
}

}  // namespace gallop::model
