// Token embeddings.
#pragma once

#include "tensor/tensor_view.h"

namespace gallop::ops {

// out[row] = table[ids[row]], widened exactly to the activation dtype; no scaling. Ids are inside
// the table (the engine has checked them). Source: Qwen3_5TextModel.embed_tokens (transformers,
// modeling_qwen3_5.py).
struct EmbedRows {
  TensorView out;    // [rows, hidden] activation dtype
  TensorView table;  // [vocab, hidden] f32 | bf16 | f16
  TensorView ids;    // [rows] i32
};

void validate(const EmbedRows& op);

}  // namespace gallop::ops
