// The DFlash drafter: features of the target's layers become its context keys and values; a block
// of [anchor, mask, mask, ...] is filled in one pass over them.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "model/activations.h"
#include "model/model_cache.h"
#include "model/text_model.h"
#include "model/weight_loader.h"
#include "ops/backend.h"
#include "ops/ragged_batch.h"

namespace gallop::model {

class Drafter {
 public:
  // `max_rows`: the most block rows or context rows of one call. The loaded drafter and the backend
  // outlive this.
  static Result<Drafter> create(const LoadedDrafter& loaded, int64_t max_rows,
                                ops::Backend& backend);

  const DrafterConfig& config() const { return *config_; }

  // What a target's pass must keep for write_context(): the layers' outputs side by side in
  // `features` [rows, taps * hidden] activation dtype.
  std::vector<Capture> captures(const TensorView& features) const;

  // [anchor, mask, mask, ...] of `rows` ids: the block that forward() fills.
  std::vector<int32_t> block_ids(int32_t anchor, int32_t rows) const;

  // Context of committed tokens: c = hidden_norm(fc(features)), then per layer K = rope(k_norm(Wk
  // c)), V = Wv c into the pages. No input norm, no residual, no MLP for context rows. features
  // [rows, taps * hidden], the captured layers side by side in the order of target_layers;
  // positions, kv_slots [rows] i32.
  void write_context(const TensorView& features, const TensorView& positions,
                     const TensorView& kv_slots, ModelCache& cache);

  // Fills blocks: ids [rows] (anchor, then mask ids) at the batch's positions, embedded by the
  // target. The block's own keys and values go to the pages of its positions and are overwritten by
  // later context. Returns the final-normed hidden rows [rows, hidden], valid until the next call;
  // logits are the target's head of them, row i speaking for its own position.
  TensorView forward(TextModel& target, const TensorView& ids, const ops::RaggedBatch& batch,
                     ModelCache& cache);

 private:
  Drafter(const DrafterConfig& config, DrafterWeights weights, Activations activations,
          ops::Backend& backend);

  void run_attention(size_t layer, const ops::RaggedBatch& batch, const AttentionCache& cache,
                     const Activations& activations);
  void write_keys_values(size_t layer, const TensorView& kv, const TensorView& positions,
                         const TensorView& kv_slots, const AttentionCache& cache,
                         const Activations& activations);

  const DrafterConfig* config_;
  DrafterWeights weights_;
  Activations activations_;
  ops::Backend* backend_;
};

}  // namespace gallop::model
