// Every buffer of a step, named and planned in one arena. Buffers are as wide as the widest user
// and as long as the longest step; a step uses the first rows.
#pragma once

#include "base/result.h"
#include "model/config.h"
#include "model/drafter_config.h"
#include "ops/backend.h"
#include "tensor/buffer.h"

namespace gallop::model {

struct Activations {
  TensorView residual;   // [rows, hidden] activation dtype, the residual stream
  TensorView normed;     // [rows, hidden] activation dtype, input of a mixer, an MLP or the head
  TensorView delta;      // [rows, hidden] activation dtype, what a mixer or an MLP adds
  TensorView projected;  // [rows, widest stacked projection] activation dtype
  TensorView convolved;  // [rows, conv channels] activation dtype
  TensorView q;          // [rows, q_heads * head_dim] activation dtype
  TensorView k;          // [rows, kv_heads * head_dim] activation dtype
  TensorView mixed;      // [rows, widest mixer output] activation dtype
  TensorView gate_up;    // [rows, 2 * intermediate] activation dtype
  TensorView mlp;        // [rows, intermediate] activation dtype
  Buffer memory;

  // The same buffers cut to `rows` rows.
  Activations first_rows(int64_t rows) const;
};

Result<Activations> allocate_activations(const ModelConfig& config, int64_t rows,
                                         ops::Backend& backend);
Result<Activations> allocate_activations(const DrafterConfig& config, int64_t rows,
                                         ops::Backend& backend);

}  // namespace gallop::model
