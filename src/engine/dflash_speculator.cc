#include "engine/dflash_speculator.h"

#include <algorithm>

#include "cache/page_math.h"

namespace gallop::engine {
namespace {

// Device buffers of one step.
struct Buffers {
  TensorView features;   // [max rows, taps * hidden] activation dtype
  TensorView gathered;   // [max rows, taps * hidden] activation dtype, committed rows only
  TensorView rows;       // [max rows] i32
  TensorView positions;  // [max rows] i32
  TensorView kv_slots;   // [max rows] i32
  TensorView masks;      // [block rows, hidden] activation dtype, rows that carry drafts
  TensorView logits;     // [block rows, vocab] f32
  Buffer memory;
};

Result<Buffers> allocate_buffers(const model::DrafterConfig& config, const SpeculatorLimits& limits,
                                 int64_t vocab, ops::Backend& backend) {
  Arena arena;
  const DType activation = backend.activation_dtype();
  const int64_t width = config.feature_width();
  const int64_t drafts = limits.max_num_seqs * (config.block - 1);
  const size_t features = arena.reserve(activation, {limits.max_rows, width});
  const size_t gathered = arena.reserve(activation, {limits.max_rows, width});
  const size_t rows = arena.reserve(DType::kI32, {limits.max_rows});
  const size_t positions = arena.reserve(DType::kI32, {limits.max_rows});
  const size_t kv_slots = arena.reserve(DType::kI32, {limits.max_rows});
  const size_t masks = arena.reserve(activation, {drafts, config.hidden});
  const size_t logits = arena.reserve(DType::kF32, {drafts, vocab});
  Buffers buffers;
  ASSIGN_OR_RETURN(buffers.memory, backend.allocate(arena.bytes()));
  buffers.features = arena.place(features, buffers.memory);
  buffers.gathered = arena.place(gathered, buffers.memory);
  buffers.rows = arena.place(rows, buffers.memory);
  buffers.positions = arena.place(positions, buffers.memory);
  buffers.kv_slots = arena.place(kv_slots, buffers.memory);
  buffers.masks = arena.place(masks, buffers.memory);
  buffers.logits = arena.place(logits, buffers.memory);
  return buffers;
}

class DflashSpeculator : public Speculator {
 public:
  DflashSpeculator(model::Drafter drafter, model::TextModel& target, model::ModelCache cache,
                   BatchBuffers batches, Sampler sampler, Buffers buffers, ops::Backend& backend)
      : drafter_(std::move(drafter)),
        target_(target),
        cache_(std::move(cache)),
        batches_(std::move(batches)),
        sampler_(std::move(sampler)),
        buffers_(std::move(buffers)),
        backend_(backend) {}

  std::vector<model::Capture> captures(int64_t rows) override {
    return drafter_.captures(buffers_.features.rows(0, rows));
  }

  void learn(std::span<const CommittedRows> committed) override {
    std::vector<int32_t> rows, positions, kv_slots;
    for (const CommittedRows& part : committed) {
      for (int32_t i = 0; i < part.rows; ++i) {
        rows.push_back(part.step_row + i);
        positions.push_back(part.position + i);
        kv_slots.push_back(cache::slot_of(part.sequence->pages, part.position + i));
      }
    }
    if (rows.empty()) return;
    const auto count = static_cast<int64_t>(rows.size());
    const TensorView row_view = buffers_.rows.rows(0, count);
    const TensorView position_view = buffers_.positions.rows(0, count);
    const TensorView slot_view = buffers_.kv_slots.rows(0, count);
    backend_.upload(row_view, rows.data());
    backend_.upload(position_view, positions.data());
    backend_.upload(slot_view, kv_slots.data());
    const TensorView gathered = buffers_.gathered.rows(0, count);
    backend_.run(ops::GatherRows{.out = gathered, .x = buffers_.features, .rows = row_view});
    drafter_.write_context(gathered, position_view, slot_view, cache_);
  }

  Result<std::vector<std::vector<int32_t>>> propose(
      std::span<const DraftRequest> requests) override {
    std::vector<BatchSequence> sequences;
    std::vector<int32_t> draft_rows;  // every row of a block but its anchor
    int32_t row = 0;
    for (const DraftRequest& request : requests) {
      sequences.push_back(block_of(request));
      for (int32_t i = 1; i <= request.drafts; ++i) draft_rows.push_back(row + i);
      row += 1 + request.drafts;
    }
    const UploadedBatch uploaded = batches_.upload(sequences, backend_);
    const TensorView hidden = drafter_.forward(target_, uploaded.ids, uploaded.batch, cache_);
    const auto count = static_cast<int64_t>(draft_rows.size());
    const TensorView row_view = buffers_.rows.rows(0, count);
    backend_.upload(row_view, draft_rows.data());
    const TensorView masks = buffers_.masks.rows(0, count);
    const TensorView logits = buffers_.logits.rows(0, count);
    backend_.run(ops::GatherRows{.out = masks, .x = hidden, .rows = row_view});
    target_.head(masks, logits);
    const TensorView tokens = sampler_.choose_best(logits, drafter_.config().mask_token, backend_);
    std::vector<int32_t> flat(draft_rows.size());
    backend_.download(flat.data(), tokens);
    RETURN_IF_ERROR(backend_.synchronize());
    // Of a drafter without numbers any draft is as good.
    std::replace(flat.begin(), flat.end(), ops::kNoToken, 0);
    return split(flat, requests);
  }

 private:
  // At the positions behind what is cached.
  BatchSequence block_of(const DraftRequest& request) const {
    const int32_t rows = 1 + request.drafts;
    return {.rows = {.rows = rows, .position = request.sequence->cached, .provisional = 1},
            .ids = drafter_.block_ids(request.sequence->tokens.back(), rows),
            .pages = request.sequence->pages};
  }

  static std::vector<std::vector<int32_t>> split(const std::vector<int32_t>& flat,
                                                 std::span<const DraftRequest> requests) {
    std::vector<std::vector<int32_t>> drafts;
    auto next = flat.begin();
    for (const DraftRequest& request : requests) {
      drafts.emplace_back(next, next + request.drafts);
      next += request.drafts;
    }
    return drafts;
  }

  model::Drafter drafter_;
  model::TextModel& target_;
  model::ModelCache cache_;
  BatchBuffers batches_;
  Sampler sampler_;
  Buffers buffers_;
  ops::Backend& backend_;
};

}  // namespace

Result<std::unique_ptr<Speculator>> make_dflash_speculator(const model::LoadedDrafter& loaded,
                                                           model::TextModel& target,
                                                           const SpeculatorLimits& limits,
                                                           ops::Backend& backend) {
  const model::DrafterConfig& config = loaded.config;
  const int64_t block_rows = limits.max_num_seqs * config.block;
  ASSIGN_OR_RETURN(model::Drafter drafter,
                   model::Drafter::create(loaded, std::max(limits.max_rows, block_rows), backend));
  ASSIGN_OR_RETURN(
      model::ModelCache cache,
      model::allocate_cache(config, {.pages = limits.pages, .page_tokens = limits.page_tokens},
                            backend));
  ASSIGN_OR_RETURN(BatchBuffers batches,
                   BatchBuffers::create(block_rows, limits.max_num_seqs,
                                        limits.max_pages_per_sequence, backend));
  ASSIGN_OR_RETURN(Sampler sampler, Sampler::create({.rows = block_rows, .biases = 1},
                                                    limits.vocab_limit, {}, backend));
  ASSIGN_OR_RETURN(Buffers buffers,
                   allocate_buffers(config, limits, target.config().vocab, backend));
  return std::unique_ptr<Speculator>(std::make_unique<DflashSpeculator>(
      std::move(drafter), target, std::move(cache), std::move(batches), std::move(sampler),
      std::move(buffers), backend));
}

}  // namespace gallop::engine
