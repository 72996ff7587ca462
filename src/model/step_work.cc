#include "model/step_work.h"

#include <algorithm>
#include <variant>

namespace gallop::model {
namespace {

constexpr double kCacheBytes = 4;  // keys, values and states are F32 on the CPU

double bytes_of(const TensorView& view) {
  return static_cast<double>(view.shape().elements()) *
         static_cast<double>(dtype_bytes(view.dtype()));
}

double bytes_of(const ops::FloatWeight& weight) { return bytes_of(weight.weight); }
double bytes_of(const ops::Nvfp4Weight& weight) {
  return bytes_of(weight.codes) + bytes_of(weight.scales);
}
double bytes_of(const ops::Fp8Weight& weight) {
  return bytes_of(weight.weight) + bytes_of(weight.scales);
}

double bytes_of(const ops::LinearWeight& weight) {
  double bytes = 0;
  for (const ops::LinearPart& part : weight.parts) {
    bytes += std::visit([](const auto& stored) { return bytes_of(stored); }, part.weight);
  }
  return bytes;
}

// The weights read once, `rows` rows multiplied.
Work linear_work(const ops::LinearWeight& weight, int64_t rows) {
  const double products = static_cast<double>(weight.n() * weight.k()) * static_cast<double>(rows);
  return {.bytes = rows > 0 ? bytes_of(weight) : 0, .operations = 2 * products};
}

Work mlp_work(const MlpWeights& weights, int64_t rows) {
  Work work = linear_work(weights.gate_up, rows);
  work += linear_work(weights.down, rows);
  return work;
}

// Scores and weighted sums over `keys` (row, key) pairs; `context` keys and values are read.
Work attention_work(double q_width, double kv_width, double keys, double context) {
  return {.bytes = 2 * kv_width * context * kCacheBytes, .operations = 4 * q_width * keys};
}

// Pairs of `rows` causal rows behind `context` tokens.
double causal_pairs(int64_t context, int64_t rows) {
  const auto count = static_cast<double>(rows);
  return count * static_cast<double>(context) + count * (count + 1) / 2;
}

// Source: the one-token update of ops/gdn/gdn.h: decay of S, k^T S, k u^T onto S and q^T S are 7
// operations an element of S and row.
Work gdn_state_work(const ModelConfig& config, int64_t rows) {
  const auto state = static_cast<double>(config.v_heads * config.k_dim * config.v_dim);
  const auto channels = static_cast<double>(config.conv_channels() * config.conv_width);
  const auto count = static_cast<double>(rows);
  return {.bytes = 2 * state * kCacheBytes, .operations = count * (7 * state + 2 * channels)};
}

Work mixer_work(const AttentionWeights& weights, const ModelConfig& config, int64_t context,
                int64_t rows) {
  Work work = linear_work(weights.qkv, rows);
  work += linear_work(weights.out, rows);
  work += attention_work(static_cast<double>(config.q_heads * config.head_dim),
                         static_cast<double>(config.kv_heads * config.head_dim),
                         causal_pairs(context, rows), static_cast<double>(context + rows));
  return work;
}

Work mixer_work(const GdnWeights& weights, const ModelConfig& config, int64_t, int64_t rows) {
  Work work = linear_work(weights.in, rows);
  work += linear_work(weights.out, rows);
  work += gdn_state_work(config, rows);
  return work;
}

}  // namespace

Work target_work(const LoadedModel& model, int64_t context, int64_t rows, int64_t choosing) {
  Work work = linear_work(model.weights.head, choosing);
  for (const LayerWeights& layer : model.weights.layers) {
    work += std::visit(
        [&](const auto& mixer) { return mixer_work(mixer, model.config, context, rows); },
        layer.mixer);
    work += mlp_work(layer.mlp, rows);
  }
  return work;
}

Work drafter_work(const LoadedDrafter& drafter, const LoadedModel& target, int64_t context,
                  int64_t rows, int64_t learned) {
  const DrafterConfig& config = drafter.config;
  Work work = linear_work(target.weights.head, std::max<int64_t>(rows - 1, 0));
  work += linear_work(drafter.weights.fc, learned);
  for (const DrafterLayerWeights& layer : drafter.weights.layers) {
    work += linear_work(layer.q, rows);
    work += linear_work(layer.kv, rows + learned);  // the block's and the context's
    work += linear_work(layer.out, rows);
    work += mlp_work(layer.mlp, rows);
    if (rows == 0) continue;
    const auto keys = static_cast<double>(rows * (context + rows));
    work += attention_work(static_cast<double>(config.q_heads * config.head_dim),
                           static_cast<double>(config.kv_heads * config.head_dim), keys,
                           static_cast<double>(context + rows));
  }
  return work;
}

}  // namespace gallop::model
