// Carries out a step plan: drafts, one target forward over all rows, choices, acceptance. Owns the
// device memory of a running model; decides nothing.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/batch_buffers.h"
#include "engine/sampler.h"
#include "engine/sequence.h"
#include "engine/speculator.h"
#include "engine/step_plan.h"
#include "model/model_cache.h"
#include "model/text_model.h"
#include "model/weight_loader.h"
#include "ops/backend.h"

namespace gallop::engine {

struct ExecutorLimits {
  int32_t max_num_seqs = 1;
  int32_t max_num_batched_tokens = 512;  // rows of one step; at least max_num_seqs
  int32_t max_prompt_tokens = 512;       // of them, prompt rows
  int32_t max_block = 1;                 // rows of a decode step: 1 + drafts
  int32_t max_model_len = 0;
  int32_t pages = 0;
  int32_t vocab_limit = 0;
  std::vector<int32_t> stop_ids;

  // Rows of one step that choose tokens, and the longest page table.
  int64_t max_sampled_rows() const {
    return std::min<int64_t>(max_num_batched_tokens, int64_t{max_num_seqs} * max_block);
  }
  int32_t max_pages_per_sequence() const;
};

// What a step gave one sequence.
struct StepOutcome {
  // The accepted drafts and the target's own token behind them, which may be ops::kNoToken; empty
  // in the middle of a prompt.
  std::vector<int32_t> tokens;
  int32_t committed = 0;  // rows that are now in the caches
};

class Executor {
 public:
  // `drafter` may be null. Loaded models and the backend outlive the executor.
  static Result<std::unique_ptr<Executor>> create(const model::LoadedModel& target,
                                                  const model::LoadedDrafter* drafter,
                                                  const ExecutorLimits& limits,
                                                  ops::Backend& backend);

  // One outcome per sequence of the plan; `sequences` is the list the plan was made from. The
  // sequences themselves are not changed.
  Result<std::vector<StepOutcome>> execute(const StepPlan& plan,
                                           std::span<Sequence* const> sequences);

 private:
  struct Rows;  // one planned sequence with its drafts

  Executor(model::TextModel target, model::ModelCache cache, BatchBuffers batches, Sampler sampler,
           ops::Backend& backend);

  Result<std::vector<Rows>> gather_rows(const StepPlan& plan, std::span<Sequence* const> sequences);
  TensorView run_target(const std::vector<Rows>& rows);
  Result<std::vector<StepOutcome>> choose(const std::vector<Rows>& rows, const TensorView& hidden);
  std::vector<StepOutcome> outcomes(const std::vector<Rows>& rows,
                                    const std::vector<int32_t>& chosen,
                                    const std::vector<int32_t>& accepted) const;
  void teach(const std::vector<Rows>& rows, const std::vector<StepOutcome>& outcomes);

  model::TextModel target_;
  model::ModelCache cache_;
  BatchBuffers batches_;
  Sampler sampler_;
  ops::Backend& backend_;
  std::unique_ptr<Speculator> speculator_;  // null without a drafter

  // Device buffers of the rows that choose tokens.
  TensorView sample_rows_;  // [sampled rows] i32
  TensorView hidden_;       // [sampled rows, hidden] activation dtype
  TensorView logits_;       // [sampled rows, vocab] f32
  TensorView fed_;          // [sampled rows] i32, the ids that were fed in
  TensorView block_rows_;   // [sequences, 2] i32
  TensorView accepted_;     // [sequences] i32
  Buffer memory_;
};

}  // namespace gallop::engine
