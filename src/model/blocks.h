// The three blocks of a Qwen3.5 decoder layer, written once over the ops. Each reads
// `activations.normed` and leaves in `activations.delta` what is to be added to the residual
// stream.
#pragma once

#include "model/activations.h"
#include "model/config.h"
#include "model/model_cache.h"
#include "model/weights.h"
#include "ops/backend.h"
#include "ops/ragged_batch.h"

namespace gallop::model {

// What a block works with, besides its weights.
struct BlockContext {
  ops::Backend& backend;
  const ModelConfig& config;
  const ops::RaggedBatch& batch;
  const Activations& activations;  // cut to the step's rows
};

// Gated full attention: query and gate per head, norm and partial rope of query and key, attention
// over the paged cache, times sigmoid(gate), output projection.
void run_attention_block(const BlockContext& context, const AttentionWeights& weights,
                         const AttentionCache& cache);

// Gated DeltaNet: projections, causal convolution, recurrent update, gated norm, output projection.
void run_gdn_block(const BlockContext& context, const GdnWeights& weights, const GdnCache& cache);

// SwiGLU: down(silu(gate(x)) * up(x)).
void run_mlp_block(ops::Backend& backend, const MlpWeights& weights,
                   const Activations& activations);

}  // namespace gallop::model
