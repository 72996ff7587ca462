#include "engine/scorer.h"

#include <algorithm>
#include <numeric>

#include "cache/page_math.h"
#include "tensor/widen.h"

namespace gallop::engine {

Result<std::unique_ptr<Scorer>> Scorer::create(const model::LoadedModel& loaded,
                                               const model::LoadedDrafter* drafter,
                                               const ScorerOptions& options,
                                               ops::Backend& backend) {
  const auto block = drafter != nullptr ? static_cast<int32_t>(drafter->config.block) : 0;
  const int32_t pages = cache::pages_for(options.max_tokens + block);
  const int64_t rows = std::max(options.chunk, block);
  ASSIGN_OR_RETURN(model::TextModel target, model::TextModel::create(loaded, rows, backend));
  std::unique_ptr<Scorer> scorer(new Scorer(std::move(target), backend));
  scorer->chunk_ = options.chunk;
  scorer->layers_ = options.layers;
  scorer->pages_.resize(static_cast<size_t>(pages));
  std::iota(scorer->pages_.begin(), scorer->pages_.end(), 0);
  const model::CacheSizes sizes{.pages = pages, .page_tokens = cache::kPageTokens, .slots = 1};
  ASSIGN_OR_RETURN(scorer->cache_, model::allocate_cache(loaded.config, sizes, backend));
  ASSIGN_OR_RETURN(scorer->batches_, BatchBuffers::create(rows, 1, pages, backend));
  if (drafter != nullptr) {
    ASSIGN_OR_RETURN(model::Drafter made, model::Drafter::create(*drafter, rows, backend));
    scorer->drafter_.emplace(std::move(made));
    ASSIGN_OR_RETURN(scorer->drafter_cache_,
                     model::allocate_cache(drafter->config, sizes, backend));
  }
  const int64_t feature_width = drafter != nullptr ? drafter->config.feature_width() : 0;
  const auto layers = static_cast<int64_t>(options.layers.size());
  const DType activation = backend.activation_dtype();
  Arena arena;
  const size_t logits = arena.reserve(DType::kF32, {rows, loaded.config.vocab});
  const size_t features = arena.reserve(activation, {rows, feature_width});
  const size_t hidden = arena.reserve(activation, {layers, options.chunk, loaded.config.hidden});
  ASSIGN_OR_RETURN(scorer->memory_, backend.allocate(arena.bytes()));
  scorer->logits_ = arena.place(logits, scorer->memory_);
  scorer->features_ = arena.place(features, scorer->memory_);
  scorer->hidden_ = arena.place(hidden, scorer->memory_);
  return scorer;
}

Result<Scores> Scorer::score(const std::vector<int32_t>& ids) {
  Scores scores;
  const auto tokens = static_cast<int32_t>(ids.size());
  scores.logits.reserve(ids.size() * static_cast<size_t>(target_.config().vocab));
  scores.hidden.resize(layers_.size());
  for (int32_t position = 0; position < tokens; position += chunk_) {
    const auto count = static_cast<size_t>(std::min(chunk_, tokens - position));
    RETURN_IF_ERROR(
        run_chunk(std::span(ids).subspan(static_cast<size_t>(position), count), position, scores));
  }
  if (drafter_ && tokens >= 2) RETURN_IF_ERROR(draft(ids.back(), tokens - 1, scores));
  return scores;
}

// What is kept of a chunk: the layers asked for, and the drafter's features side by side.
std::vector<model::Capture> Scorer::captures(int64_t rows) const {
  std::vector<model::Capture> captures;
  const int64_t width = target_.config().hidden;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto slice = static_cast<int64_t>(i);
    captures.push_back(
        {layers_[i], hidden_.rows(slice, slice + 1).reshaped({chunk_, width}).rows(0, rows)});
  }
  if (!drafter_) return captures;
  const std::vector<model::Capture> features = drafter_->captures(features_.rows(0, rows));
  captures.insert(captures.end(), features.begin(), features.end());
  return captures;
}

Result<void> Scorer::run_chunk(std::span<const int32_t> ids, int32_t position, Scores& scores) {
  const auto rows = static_cast<int64_t>(ids.size());
  std::vector<BatchSequence> batch(1);
  batch[0] = {.rows = {.rows = static_cast<int32_t>(rows), .position = position},
              .ids = std::vector<int32_t>(ids.begin(), ids.end()),
              .pages = pages_};
  const UploadedBatch uploaded = batches_.upload(batch, backend_);
  const std::vector<model::Capture> kept = captures(rows);
  const TensorView normed = target_.forward(uploaded.ids, uploaded.batch, cache_, kept);
  target_.head(normed, logits_.rows(0, rows));
  RETURN_IF_ERROR(append(logits_.rows(0, rows), scores.logits));
  for (size_t i = 0; i < layers_.size(); ++i) {
    RETURN_IF_ERROR(append(kept[i].out, scores.hidden[i]));
  }
  if (drafter_) learn_chunk(uploaded, rows);
  return {};
}

void Scorer::learn_chunk(const UploadedBatch& uploaded, int64_t rows) {
  drafter_->write_context(features_.rows(0, rows), uploaded.batch.positions,
                          uploaded.batch.kv_slots, drafter_cache_);
}

// The anchor's own context was written with its chunk; the block overwrites that place.
Result<void> Scorer::draft(int32_t anchor, int32_t position, Scores& scores) {
  const auto block = static_cast<int32_t>(drafter_->config().block);
  std::vector<BatchSequence> batch(1);
  batch[0] = {.rows = {.rows = block, .position = position, .provisional = 1},
              .ids = drafter_->block_ids(anchor, block),
              .pages = pages_};
  const UploadedBatch uploaded = batches_.upload(batch, backend_);
  const TensorView hidden =
      drafter_->forward(target_, uploaded.ids, uploaded.batch, drafter_cache_);
  target_.head(hidden.rows(1, block), logits_.rows(0, block - 1));
  RETURN_IF_ERROR(append(hidden, scores.draft_hidden));
  return append(logits_.rows(0, block - 1), scores.draft_logits);
}

// Waits for the copy: only then are its bytes here, and the rows free for the next chunk.
Result<void> Scorer::append(const TensorView& rows, std::vector<float>& to) {
  const int64_t count = rows.shape().elements();
  std::vector<uint8_t> stored(static_cast<size_t>(count) * dtype_bytes(rows.dtype()));
  backend_.download(stored.data(), rows);
  RETURN_IF_ERROR(backend_.synchronize());
  const size_t before = to.size();
  to.resize(before + static_cast<size_t>(count));
  widen(stored.data(), rows.dtype(), count, to.data() + before);
  return {};
}

}  // namespace gallop::engine
