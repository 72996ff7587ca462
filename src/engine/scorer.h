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

// All F32, rows contiguous.
struct Scores {
  std::vector<float> logits;               // [tokens, vocab]
  std::vector<std::vector<float>> hidden;  // per layer asked for: [tokens, hidden]
  std::vector<float> draft_hidden;         // [block, hidden] after the drafter's norm; may be empty
  std::vector<float> draft_logits;         // [block - 1, vocab]; may be empty
};

class Scorer {
 public:
  // `max_tokens`: the longest list; `chunk`: most tokens of a step. `drafter` may be null. Loaded
  // models and backend outlive the scorer.
  static Result<std::unique_ptr<Scorer>> create(const model::LoadedModel& target,
                                                const model::LoadedDrafter* drafter,
                                                int32_t max_tokens, int32_t chunk,
                                                ops::Backend& backend);

  // Ids inside the vocabulary, at least one; layers inside the model. With a drafter and two ids or
  // more, the block whose anchor is the last id is drafted too.
  Result<Scores> score(const std::vector<int32_t>& ids, const std::vector<int32_t>& layers);

 private:
  explicit Scorer(model::TextModel target, ops::Backend& backend)
      : target_(std::move(target)), backend_(backend) {}

  Result<void> reserve_hidden(int64_t layers);
  std::vector<model::Capture> captures(const std::vector<int32_t>& layers, int64_t rows) const;
  void run_chunk(std::span<const int32_t> ids, int32_t position, const std::vector<int32_t>& layers,
                 Scores& scores);
  void learn_chunk(const UploadedBatch& uploaded, int64_t rows);
  void draft(int32_t anchor, int32_t position, Scores& scores);
  void append(const TensorView& rows, std::vector<float>& to);

  model::TextModel target_;
  ops::Backend& backend_;
  std::optional<model::Drafter> drafter_;
  model::ModelCache cache_;
  model::ModelCache drafter_cache_;
  BatchBuffers batches_;
  std::vector<int32_t> pages_;  // the one sequence's, in order
  int32_t chunk_ = 0;
  TensorView logits_;    // [rows, vocab] f32
  TensorView features_;  // [rows, taps * hidden] activation dtype
  Buffer memory_;
  TensorView hidden_;  // [layers asked for, chunk, hidden] activation dtype
  Buffer hidden_memory_;
};

}  // namespace gallop::engine
