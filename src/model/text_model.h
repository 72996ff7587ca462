// The Qwen3.5 text model: embed > layers > norm > head, over the rows of one step.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "model/activations.h"
#include "model/model_cache.h"
#include "model/weight_loader.h"
#include "ops/backend.h"
#include "ops/ragged_batch.h"

namespace gallop::model {

// Asks for the residual stream after a layer (after both of its additions, before the next norm).
struct Capture {
  int32_t layer = 0;
  TensorView out;  // [rows, hidden] activation dtype, rows may be strided
};

class TextModel {
 public:
  // `max_rows`: the longest step. The loaded model and the backend outlive this.
  static Result<TextModel> create(const LoadedModel& loaded, int64_t max_rows,
                                  ops::Backend& backend);

  const ModelConfig& config() const { return *config_; }

  // Runs the rows of `batch` through all layers, reading and writing `cache`. Returns the
  // final-normed hidden rows [rows, hidden], which stay valid until the next call.
  TensorView forward(const TensorView& ids, const ops::RaggedBatch& batch, ModelCache& cache,
                     std::span<const Capture> captures);

  // out [count, hidden] = embeddings of ids [count] i32.
  void embed(const TensorView& ids, const TensorView& out);

  // logits [count, vocab] f32 of final-normed hidden [count, hidden] activation dtype.
  void head(const TensorView& hidden, const TensorView& logits);

 private:
  TextModel(const ModelConfig& config, ModelWeights weights, Activations activations,
            ops::Backend& backend);

  void run_layer(const LayerWeights& layer, LayerCache& cache, const ops::RaggedBatch& batch,
                 const Activations& activations, const TensorView& next_norm);

  const ModelConfig* config_;
  ModelWeights weights_;  // placed where the backend can use them
  Activations activations_;
  ops::Backend* backend_;
};

}  // namespace gallop::model
