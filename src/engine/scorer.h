// Logits and hidden states of given tokens: the model without choosing. For `score`, and through it
// for every comparison with another implementation.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/batch_buffers.h"
#include "model/drafter.h"
#include "model/model_cache.h"
#include "model/text_model.h"
#include "ops/backend.h"

namespace gallop::engine {

struct ScorerOptions {
  int32_t max_tokens = 1;            // the longest list
  int32_t chunk = 512;               // most tokens of a step
  std::vector<int32_t> layers = {};  // inside the model: whose hidden states are asked for
};

// All F32, rows contiguous.
struct Scores {
  std::vector<float> logits;               // [tokens, vocab]
  std::vector<std::vector<float>> hidden;  // per layer asked for: [tokens, hidden]
  std::vector<float> draft_hidden;         // [block, hidden] after the drafter's norm; may be empty
  std::vector<float> draft_logits;         // [block - 1, vocab]; may be empty
};

class Scorer {
 public:
  // `drafter` may be null. Loaded models and backend outlive the scorer.
  static Result<std::unique_ptr<Scorer>> create(const model::LoadedModel& target,
                                                const model::LoadedDrafter* drafter,
                                                const ScorerOptions& options,
                                                ops::Backend& backend);

  // Ids inside the vocabulary, at least one. With a drafter and two ids or more, the block whose
  // anchor is the last id is drafted too.
  Result<Scores> score(const std::vector<int32_t>& ids);

 private:
  explicit Scorer(model::TextModel target, ops::Backend& backend)
      : target_(std::move(target)), backend_(backend) {}

  std::vector<model::Capture> captures(int64_t rows) const;
  Result<void> run_chunk(std::span<const int32_t> ids, int32_t position, Scores& scores);
  void learn_chunk(const UploadedBatch& uploaded, int64_t rows);
  Result<void> draft(int32_t anchor, int32_t position, Scores& scores);
  Result<void> append(const TensorView& rows, std::vector<float>& to);

  model::TextModel target_;
  ops::Backend& backend_;
  std::optional<model::Drafter> drafter_;
  model::ModelCache cache_;
  model::ModelCache drafter_cache_;
  BatchBuffers batches_;
  std::vector<int32_t> pages_;  // the one sequence's, in order
  int32_t chunk_ = 0;
  std::vector<int32_t> layers_;
  TensorView logits_;    // [rows, vocab] f32
  TensorView features_;  // [rows, taps * hidden] activation dtype
  TensorView hidden_;    // [layers asked for, chunk, hidden] activation dtype
  Buffer memory_;
};

}  // namespace gallop::engine
