// The weights of target and drafter as typed fields over views; owns nothing. Big matrices have the
// checkpoint's dtype; vectors are f32. weight_table.h binds each field to a tensor name and a
// shape.
#pragma once

#include <variant>
#include <vector>

#include "ops/linear/linear_weight.h"
#include "tensor/tensor_view.h"

namespace gallop::model {

// Gated full attention.
struct AttentionWeights {
  ops::LinearWeight qkv;  // parts q_proj [q_heads * 2 * head_dim, hidden]: per head query, then
                          // gate; k_proj, v_proj [kv_heads * head_dim, hidden]
  TensorView q_norm;      // [head_dim] f32, zero-centred
  TensorView k_norm;      // [head_dim] f32, zero-centred
  ops::LinearWeight out;  // [hidden, q_heads * head_dim]
};

// Gated DeltaNet.
struct GdnWeights {
  ops::LinearWeight in;   // parts in_proj_qkv [conv_channels, hidden], in_proj_z [v_heads * v_dim,
                          // hidden], in_proj_b, in_proj_a [v_heads, hidden]
  TensorView conv;        // [conv_channels, conv_width] f32, the last column for the current token
  TensorView a_log;       // [v_heads] f32
  TensorView dt_bias;     // [v_heads] f32
  TensorView norm;        // [v_dim] f32, plain (not zero-centred)
  ops::LinearWeight out;  // [hidden, v_heads * v_dim]
};

struct MlpWeights {
  ops::LinearWeight gate_up;  // parts gate_proj, up_proj [intermediate, hidden]
  ops::LinearWeight down;     // [hidden, intermediate]
};

struct LayerWeights {
  TensorView input_norm;  // [hidden] f32, zero-centred
  TensorView post_norm;   // [hidden] f32, zero-centred
  std::variant<AttentionWeights, GdnWeights> mixer;
  MlpWeights mlp;
};

struct ModelWeights {
  TensorView embed;  // [vocab, hidden] f32 | bf16 | f16
  std::vector<LayerWeights> layers;
  TensorView norm;         // [hidden] f32, zero-centred
  ops::LinearWeight head;  // [vocab, hidden]; the embedding itself where tied
};

struct DrafterLayerWeights {
  TensorView input_norm;  // [hidden] f32, plain, as all norms of the drafter
  TensorView post_norm;   // [hidden] f32
  ops::LinearWeight q;    // [q_heads * head_dim, hidden]
  ops::LinearWeight kv;   // parts k_proj, v_proj [kv_heads * head_dim, hidden]: context needs no q
  TensorView q_norm;      // [head_dim] f32
  TensorView k_norm;      // [head_dim] f32
  ops::LinearWeight out;  // [hidden, q_heads * head_dim]
  MlpWeights mlp;
};

struct DrafterWeights {
  ops::LinearWeight fc;    // [hidden, target_layers * hidden]
  TensorView hidden_norm;  // [hidden] f32
  std::vector<DrafterLayerWeights> layers;
  TensorView norm;  // [hidden] f32
};

}  // namespace gallop::model
