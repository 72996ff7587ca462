// The text model's sizes and constants, read from a Hugging Face config.json and checked: what is
// here is positive, bounded and consistent, so that the code below divides and multiplies freely.
// Owns no tensors; whether the tensors agree is the weight loader's question.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace gallop::model {

enum class LayerKind : uint8_t { kLinearAttention, kFullAttention };

struct ModelConfig {
  int64_t hidden = 0;        // hidden_size
  int64_t intermediate = 0;  // intermediate_size
  int64_t vocab = 0;         // vocab_size: rows of embedding and head, at most 2^24

  std::vector<LayerKind> layer_kinds;  // one a layer, at least one

  // Full attention. q_heads is a multiple of kv_heads.
  int64_t q_heads = 0;   // num_attention_heads
  int64_t kv_heads = 0;  // num_key_value_heads
  int64_t head_dim = 0;

  // Gated DeltaNet. v_heads is a multiple of k_heads; v head j reads k head j / (v_heads /
  // k_heads).
  int64_t k_heads = 0;     // linear_num_key_heads
  int64_t v_heads = 0;     // linear_num_value_heads
  int64_t k_dim = 0;       // linear_key_head_dim
  int64_t v_dim = 0;       // linear_value_head_dim
  int64_t conv_width = 0;  // linear_conv_kernel_dim, at least 2

  float rms_norm_eps = 0;
  float rope_theta = 0;
  int32_t rotary_dim = 0;  // leading values of a head that rotate: even, <= head_dim
  std::array<int32_t, 3> mrope_section = {};  // t, h, w; together rotary_dim / 2
  bool tied_head = false;                     // tie_word_embeddings: the head is the embedding
  int32_t max_positions = 0;                  // max_position_embeddings
  std::vector<int32_t> eos_ids;               // eos_token_id of config.json; may be empty

  int64_t layers() const { return static_cast<int64_t>(layer_kinds.size()); }
  // Channels of the GDN convolution: q, k and v side by side.
  int64_t conv_channels() const { return 2 * k_heads * k_dim + v_heads * v_dim; }
};

// Takes a whole config.json: the text model itself (model_type qwen3_5_text) or the
// conditional-generation model (qwen3_5) with a `text_config`. Errors name the key, what was
// expected and what was found; the caller adds the path.
Result<ModelConfig> parse_model_config(const Json& json);

}  // namespace gallop::model
