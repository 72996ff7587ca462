#include "engine/executor.h"

#include "cache/page_math.h"
#include "engine/dflash_speculator.h"
#include "engine/request_check.h"

namespace gallop::engine {
namespace {

// What check_request lets through, for as many sequences as may run.
SamplerSizes sampler_sizes(const ExecutorLimits& limits) {
  const int64_t sequences = limits.max_num_seqs;
  const size_t biases = kMaxBiases + kMaxStopIds + limits.stop_ids.size();
  return {.rows = limits.max_sampled_rows(),
          .history = sequences * (limits.max_model_len + limits.max_block),
          .biases = sequences * static_cast<int64_t>(biases)};
}

}  // namespace

int32_t ExecutorLimits::max_pages_per_sequence() const {
  return cache::pages_for(max_model_len + max_block);
}

struct Executor::Rows {
  const SequencePlan* plan = nullptr;
  const Sequence* sequence = nullptr;
  std::vector<int32_t> drafts;

  int32_t sampled() const {
    if (!plan->samples) return 0;
    return plan->kind == RowKind::kPrompt ? 1 : plan->rows;
  }
  bool drafted() const { return plan->kind == RowKind::kDecode && plan->rows > 1; }
};

Executor::Executor(model::TextModel target, model::ModelCache cache, BatchBuffers batches,
                   Sampler sampler, ops::Backend& backend)
    : target_(std::move(target)),
      cache_(std::move(cache)),
      batches_(std::move(batches)),
      sampler_(std::move(sampler)),
      backend_(backend) {}

Result<std::unique_ptr<Executor>> Executor::create(const model::LoadedModel& loaded,
                                                   const model::LoadedDrafter* drafter,
                                                   const ExecutorLimits& limits,
                                                   ops::Backend& backend) {
  const SamplerSizes sizes = sampler_sizes(limits);
  const int64_t sampled = sizes.rows;
  ASSIGN_OR_RETURN(model::TextModel target,
                   model::TextModel::create(loaded, limits.max_num_batched_tokens, backend));
  ASSIGN_OR_RETURN(model::ModelCache cache,
                   model::allocate_cache(loaded.config,
                                         {.pages = limits.pages,
                                          .page_tokens = cache::kPageTokens,
                                          .slots = limits.max_num_seqs,
                                          .max_block = limits.max_block},
                                         backend));
  ASSIGN_OR_RETURN(BatchBuffers batches,
                   BatchBuffers::create(limits.max_num_batched_tokens, limits.max_num_seqs,
                                        limits.max_pages_per_sequence(), backend));
  ASSIGN_OR_RETURN(Sampler sampler,
                   Sampler::create(sizes, limits.vocab_limit, limits.stop_ids, backend));
  std::unique_ptr<Executor> executor(new Executor(std::move(target), std::move(cache),
                                                  std::move(batches), std::move(sampler), backend));
  Arena arena;
  const size_t rows = arena.reserve(DType::kI32, {sampled});
  const size_t hidden = arena.reserve(backend.activation_dtype(), {sampled, loaded.config.hidden});
  const size_t logits = arena.reserve(DType::kF32, {sampled, loaded.config.vocab});
  const size_t fed = arena.reserve(DType::kI32, {sampled});
  const size_t block_rows = arena.reserve(DType::kI32, {limits.max_num_seqs, 2});
  const size_t accepted = arena.reserve(DType::kI32, {limits.max_num_seqs});
  ASSIGN_OR_RETURN(executor->memory_, backend.allocate(arena.bytes()));
  executor->sample_rows_ = arena.place(rows, executor->memory_);
  executor->hidden_ = arena.place(hidden, executor->memory_);
  executor->logits_ = arena.place(logits, executor->memory_);
  executor->fed_ = arena.place(fed, executor->memory_);
  executor->block_rows_ = arena.place(block_rows, executor->memory_);
  executor->accepted_ = arena.place(accepted, executor->memory_);
  if (drafter != nullptr) {
    ASSIGN_OR_RETURN(
        executor->speculator_,
        make_dflash_speculator(*drafter, executor->target_,
                               {.max_rows = limits.max_num_batched_tokens,
                                .max_num_seqs = limits.max_num_seqs,
                                .max_pages_per_sequence = limits.max_pages_per_sequence(),
                                .pages = limits.pages,
                                .page_tokens = cache::kPageTokens,
                                .vocab_limit = limits.vocab_limit},
                               backend));
  }
  return executor;
}

Result<std::vector<StepOutcome>> Executor::execute(const StepPlan& plan,
                                                   std::span<Sequence* const> sequences) {
  ASSIGN_OR_RETURN(const std::vector<Rows> rows, gather_rows(plan, sequences));
  const TensorView hidden = run_target(rows);
  ASSIGN_OR_RETURN(std::vector<StepOutcome> outcomes, choose(rows, hidden));
  teach(rows, outcomes);
  RETURN_IF_ERROR(backend_.synchronize());
  return outcomes;
}

// Asks for drafts wherever the plan has room for them.
Result<std::vector<Executor::Rows>> Executor::gather_rows(const StepPlan& plan,
                                                          std::span<Sequence* const> sequences) {
  std::vector<Rows> rows;
  std::vector<DraftRequest> requests;
  for (const SequencePlan& planned : plan.sequences) {
    const Sequence* sequence = sequences[planned.sequence];
    sequence->check();
    rows.push_back({.plan = &planned, .sequence = sequence, .drafts = {}});
    if (rows.back().drafted()) requests.push_back({sequence, planned.rows - 1});
  }
  if (requests.empty()) return rows;
  CHECK(speculator_ != nullptr);
  ASSIGN_OR_RETURN(std::vector<std::vector<int32_t>> drafts, speculator_->propose(requests));
  size_t next = 0;
  for (Rows& row : rows) {
    if (row.drafted()) row.drafts = std::move(drafts[next++]);
  }
  return rows;
}

TensorView Executor::run_target(const std::vector<Rows>& rows) {
  std::vector<BatchSequence> batch;
  int64_t total = 0;
  for (const Rows& row : rows) {
    const Sequence& sequence = *row.sequence;
    const auto first = sequence.tokens.begin() + sequence.cached;
    const int32_t known = row.plan->rows - static_cast<int32_t>(row.drafts.size());
    BatchSequence part{.rows = {.rows = row.plan->rows,
                                .position = sequence.cached,
                                .state_slot = sequence.state_slot(),
                                .fold = sequence.fold,
                                .provisional = row.plan->kind == RowKind::kPrompt ? 0 : 1},
                       .ids = std::vector<int32_t>(first, first + known),
                       .pages = sequence.pages};
    part.ids.insert(part.ids.end(), row.drafts.begin(), row.drafts.end());
    total += row.plan->rows;
    batch.push_back(std::move(part));
  }
  const UploadedBatch uploaded = batches_.upload(batch, backend_);
  const bool observed = speculator_ != nullptr;
  const std::vector<model::Capture> captures =
      observed ? speculator_->captures(total) : std::vector<model::Capture>();
  return target_.forward(uploaded.ids, uploaded.batch, cache_, captures);
}

Result<std::vector<StepOutcome>> Executor::choose(const std::vector<Rows>& rows,
                                                  const TensorView& hidden) {
  std::vector<SampledRows> sampled;
  std::vector<int32_t> step_rows, fed, block_rows;
  int32_t row_begin = 0;
  for (const Rows& row : rows) {
    const int32_t count = row.sampled();
    if (count > 0) {
      block_rows.insert(block_rows.end(), {static_cast<int32_t>(fed.size()), count});
      sampled.push_back({row.sequence, row.drafts, count});
      fed.push_back(row.sequence->tokens.back());
      fed.insert(fed.end(), row.drafts.begin(), row.drafts.end());
    }
    for (int32_t i = row.plan->rows - count; i < row.plan->rows; ++i) {
      step_rows.push_back(row_begin + i);
    }
    row_begin += row.plan->rows;
  }
  const auto count = static_cast<int64_t>(step_rows.size());
  const auto blocks = static_cast<int64_t>(sampled.size());
  std::vector<int32_t> chosen(step_rows.size()), accepted(sampled.size());
  if (count > 0) {
    const TensorView row_view = sample_rows_.rows(0, count);
    const TensorView fed_view = fed_.rows(0, count);
    const TensorView block_view = block_rows_.rows(0, blocks);
    backend_.upload(row_view, step_rows.data());
    backend_.upload(fed_view, fed.data());
    backend_.upload(block_view, block_rows.data());
    const TensorView last_hidden = hidden_.rows(0, count);
    const TensorView logits = logits_.rows(0, count);
    backend_.run(ops::GatherRows{.out = last_hidden, .x = hidden, .rows = row_view});
    target_.head(last_hidden, logits);
    const TensorView tokens = sampler_.choose(sampled, logits, backend_);
    const TensorView accepted_view = accepted_.rows(0, blocks);
    backend_.run(ops::AcceptDrafts{
        .accepted = accepted_view, .block_rows = block_view, .ids = fed_view, .chosen = tokens});
    backend_.download(chosen.data(), tokens);
    backend_.download(accepted.data(), accepted_view);
    RETURN_IF_ERROR(backend_.synchronize());
  }
  return outcomes(rows, chosen, accepted);
}

std::vector<StepOutcome> Executor::outcomes(const std::vector<Rows>& rows,
                                            const std::vector<int32_t>& chosen,
                                            const std::vector<int32_t>& accepted) const {
  std::vector<StepOutcome> outcomes;
  size_t next_row = 0;
  size_t next_block = 0;
  for (const Rows& row : rows) {
    StepOutcome outcome{.tokens = {}, .committed = row.plan->rows};
    const auto count = static_cast<size_t>(row.sampled());
    if (count > 0) {
      const auto kept = static_cast<size_t>(accepted[next_block++]) + 1;
      const auto first = chosen.begin() + static_cast<std::ptrdiff_t>(next_row);
      outcome.tokens.assign(first, first + static_cast<std::ptrdiff_t>(kept));
      if (row.plan->kind == RowKind::kDecode) outcome.committed = static_cast<int32_t>(kept);
      next_row += count;
    }
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

void Executor::teach(const std::vector<Rows>& rows, const std::vector<StepOutcome>& outcomes) {
  if (speculator_ == nullptr) return;
  std::vector<CommittedRows> committed;
  int32_t row_begin = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].sequence->request.drafts > 0) {
      committed.push_back({.sequence = rows[i].sequence,
                           .step_row = row_begin,
                           .rows = outcomes[i].committed,
                           .position = rows[i].sequence->cached});
    }
    row_begin += rows[i].plan->rows;
  }
  speculator_->learn(committed);
}

}  // namespace gallop::engine
