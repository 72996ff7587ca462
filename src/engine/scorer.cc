#include "engine/scorer.h"

#include <algorithm>
#include <numeric>

#include "cache/page_math.h"

namespace gallop::engine {

Result<std::unique_ptr<Scorer>> Scorer::create(const model::LoadedModel& loaded,
                                               const model::LoadedDrafter* drafter,
                                               int32_t max_tokens, int32_t chunk,
                                               ops::Backend& backend) {
  const auto block = drafter != nullptr ? static_cast<int32_t>(drafter->config.block) : 0;
  const int32_t pages = cache::pages_for(max_tokens + block);
  const int64_t rows = std::max(chunk, block);
  ASSIGN_OR_RETURN(model::TextModel target, model::TextModel::create(loaded, rows, backend));
  std::unique_ptr<Scorer> scorer(new Scorer(std::move(target), backend));
  scorer->chunk_ = chunk;
  scorer->pages_.resize(static_cast<size_t>(pages));
  std::iota(scorer->pages_.begin(), scorer->pages_.end(), 0);
  const model::CacheSizes sizes{.pages = pages, .page_tokens = cache::kPageTokens, .slots = 1};
  ASSIGN_OR_RETURN(scorer->cache_, model::allocate_cache(loaded.config, sizes, backend));
  ASSIGN_OR_RETURN(scorer->batches_, BatchBuffers::create(rows, 1, pages, backend));
  int64_t taps = 0;
  if (drafter != nullptr) {
    ASSIGN_OR_RETURN(model::Drafter made, model::Drafter::create(*drafter, rows, backend));
    scorer->drafter_.emplace(std::move(made));
    ASSIGN_OR_RETURN(scorer->drafter_cache_,
                     model::allocate_cache(drafter->config, sizes, backend));
    taps = static_cast<int64_t>(drafter->config.target_layers.size());
  }
  Arena arena;
  const size_t logits = arena.reserve(DType::kF32, {rows, loaded.config.vocab});
  const size_t features =
      arena.reserve(backend.activation_dtype(), {rows, taps * loaded.config.hidden});
  ASSIGN_OR_RETURN(scorer->memory_, backend.allocate(arena.bytes()));
  scorer->logits_ = arena.place(logits, scorer->memory_);
  scorer->features_ = arena.place(features, scorer->memory_);
  return scorer;
}

Result<Scores> Scorer::score(const std::vector<int32_t>& ids, const std::vector<int32_t>& layers) {
  Scores scores;
  scores.hidden.resize(layers.size());
  RETURN_IF_ERROR(reserve_hidden(static_cast<int64_t>(layers.size())));
  const auto tokens = static_cast<int32_t>(ids.size());
  for (int32_t position = 0; position < tokens; position += chunk_) {
    const auto count = static_cast<size_t>(std::min(chunk_, tokens - position));
    run_chunk(std::span(ids).subspan(static_cast<size_t>(position), count), position, layers,
              scores);
  }
  if (drafter_ && tokens >= 2) draft(ids.back(), tokens - 1, scores);
  RETURN_IF_ERROR(backend_.synchronize());
  return scores;
}

Result<void> Scorer::reserve_hidden(int64_t layers) {
  const Shape shape{layers, chunk_, target_.config().hidden};
  const size_t bytes =
      static_cast<size_t>(shape.elements()) * dtype_bytes(backend_.activation_dtype());
  ASSIGN_OR_RETURN(hidden_memory_, backend_.allocate(bytes));
  hidden_ = hidden_memory_.view(backend_.activation_dtype(), shape);
  return {};
}

// What is kept of a chunk: the layers asked for, and the drafter's features side by side.
std::vector<model::Capture> Scorer::captures(const std::vector<int32_t>& layers,
                                             int64_t rows) const {
  std::vector<model::Capture> captures;
  const int64_t width = target_.config().hidden;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto slice = static_cast<int64_t>(i);
    captures.push_back(
        {layers[i], hidden_.rows(slice, slice + 1).reshaped({chunk_, width}).rows(0, rows)});
  }
  if (!drafter_) return captures;
  int64_t column = 0;
  for (const int32_t layer : drafter_->config().target_layers) {
    captures.push_back({layer, features_.rows(0, rows).columns(column, column + width)});
    column += width;
  }
  return captures;
}

void Scorer::run_chunk(std::span<const int32_t> ids, int32_t position,
                       const std::vector<int32_t>& layers, Scores& scores) {
  const auto rows = static_cast<int64_t>(ids.size());
  std::vector<BatchSequence> batch(1);
  batch[0] = {.rows = {.rows = static_cast<int32_t>(rows), .position = position},
              .ids = std::vector<int32_t>(ids.begin(), ids.end()),
              .pages = pages_};
  const UploadedBatch uploaded = batches_.upload(batch, backend_);
  const std::vector<model::Capture> kept = captures(layers, rows);
  const TensorView normed = target_.forward(uploaded.ids, uploaded.batch, cache_, kept);
  target_.head(normed, logits_.rows(0, rows));
  append(logits_.rows(0, rows), scores.logits);
  for (size_t i = 0; i < layers.size(); ++i) append(kept[i].out, scores.hidden[i]);
  if (drafter_) learn_chunk(uploaded, rows);
}

void Scorer::learn_chunk(const UploadedBatch& uploaded, int64_t rows) {
  drafter_->write_context(features_.rows(0, rows), uploaded.batch.positions,
                          uploaded.batch.kv_slots, drafter_cache_);
}

// The anchor's own context was written with its chunk; the block overwrites that place.
void Scorer::draft(int32_t anchor, int32_t position, Scores& scores) {
  const auto block = static_cast<int32_t>(drafter_->config().block);
  std::vector<BatchSequence> batch(1);
  batch[0] = {
      .rows = {.rows = block, .position = position, .provisional = 1},
      .ids = std::vector<int32_t>(static_cast<size_t>(block), drafter_->config().mask_token),
      .pages = pages_};
  batch[0].ids[0] = anchor;
  const UploadedBatch uploaded = batches_.upload(batch, backend_);
  const TensorView hidden =
      drafter_->forward(target_, uploaded.ids, uploaded.batch, drafter_cache_);
  target_.head(hidden.rows(1, block), logits_.rows(0, block - 1));
  append(hidden, scores.draft_hidden);
  append(logits_.rows(0, block - 1), scores.draft_logits);
}

// Widens nothing: scores are F32, and so must the device's activations be.
void Scorer::append(const TensorView& rows, std::vector<float>& to) {
  CHECK(rows.dtype() == DType::kF32);
  const size_t before = to.size();
  to.resize(before + static_cast<size_t>(rows.shape().elements()));
  backend_.download(to.data() + before, rows);
}

}  // namespace gallop::engine
