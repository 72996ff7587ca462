#include "engine/sampler.h"

#include <limits>

namespace gallop::engine {
namespace {

static_assert(kLeastTemperature == ops::kLeastTemperature);

constexpr float kBanned = -std::numeric_limits<float>::infinity();

bool penalised(const SamplingParams& params) {
  return params.presence_penalty != 0 || params.frequency_penalty != 0 ||
         params.repetition_penalty != 1;
}

int32_t size_of(const auto& list) { return static_cast<int32_t>(list.size()); }

// Uploads a list into the first elements of its buffer; an empty list stays an empty view.
TensorView upload_list(const TensorView& buffer, const auto& list, ops::Backend& backend) {
  if (list.empty()) return {};
  const TensorView view = buffer.rows(0, static_cast<int64_t>(list.size()));
  backend.upload(view, list.data());
  return view;
}

}  // namespace

Result<Sampler> Sampler::create(const SamplerSizes& sizes, int32_t vocab_limit,
                                std::vector<int32_t> stop_ids, ops::Backend& backend) {
  Arena arena;
  const size_t tokens = arena.reserve(DType::kI32, {sizes.rows});
  const size_t options =
      arena.reserve(DType::kU8, {sizes.rows, static_cast<int64_t>(sizeof(ops::SampleOptions))});
  const size_t history = arena.reserve(DType::kI32, {sizes.history});
  const size_t bias_ids = arena.reserve(DType::kI32, {sizes.biases});
  const size_t bias_values = arena.reserve(DType::kF32, {sizes.biases});
  Sampler sampler;
  ASSIGN_OR_RETURN(sampler.memory_, backend.allocate(arena.bytes()));
  sampler.vocab_limit_ = vocab_limit;
  sampler.stop_ids_ = std::move(stop_ids);
  sampler.tokens_ = arena.place(tokens, sampler.memory_);
  sampler.options_ = arena.place(options, sampler.memory_);
  sampler.history_ = arena.place(history, sampler.memory_);
  sampler.bias_ids_ = arena.place(bias_ids, sampler.memory_);
  sampler.bias_values_ = arena.place(bias_values, sampler.memory_);
  return sampler;
}

TensorView Sampler::choose(std::span<const SampledRows> sampled, const TensorView& logits,
                           ops::Backend& backend) {
  Lists lists;
  for (const SampledRows& rows : sampled) add_rows(rows, lists);
  return run(lists, logits, backend);
}

// Bias lists of a sequence: bans first, then logit_bias; a row at or past min_tokens skips the
// bans.
void Sampler::add_rows(const SampledRows& rows, Lists& lists) const {
  const Sequence& sequence = *rows.sequence;
  const Request& request = sequence.request;
  const SamplingParams& params = request.sampling;
  const int32_t bans_begin = size_of(lists.bias_ids);
  if (request.min_tokens > 0) {
    lists.bias_ids.insert(lists.bias_ids.end(), stop_ids_.begin(), stop_ids_.end());
    lists.bias_ids.insert(lists.bias_ids.end(), request.stop_token_ids.begin(),
                          request.stop_token_ids.end());
    lists.bias_values.resize(lists.bias_ids.size(), kBanned);
  }
  const int32_t bias_begin = size_of(lists.bias_ids);
  for (const auto& [id, bias] : params.logit_bias) {
    lists.bias_ids.push_back(id);
    lists.bias_values.push_back(bias);
  }
  const int32_t history_begin = size_of(lists.history);
  if (penalised(params)) {
    lists.history.insert(lists.history.end(), sequence.tokens.begin(), sequence.tokens.end());
    lists.history.insert(lists.history.end(), rows.drafts.begin(), rows.drafts.end());
  }
  for (int32_t i = 0; i < rows.rows; ++i) {
    const int32_t position = size_of(sequence.tokens) + i;
    const bool below_min = position - sequence.prompt_tokens() < request.min_tokens;
    const int32_t history = penalised(params) ? position : 0;
    lists.options.push_back({.seed = params.seed,
                             .temperature = params.temperature,
                             .top_p = params.top_p,
                             .min_p = params.min_p,
                             .presence_penalty = params.presence_penalty,
                             .frequency_penalty = params.frequency_penalty,
                             .repetition_penalty = params.repetition_penalty,
                             .top_k = params.top_k,
                             .position = position,
                             .history_begin = history_begin,
                             .generated_begin = history_begin + sequence.prompt_tokens(),
                             .history_end = history_begin + history,
                             .bias_begin = below_min ? bans_begin : bias_begin,
                             .bias_end = size_of(lists.bias_ids)});
  }
}

TensorView Sampler::choose_best(const TensorView& logits, int32_t banned, ops::Backend& backend) {
  Lists lists;
  lists.bias_ids = {banned};
  lists.bias_values = {kBanned};
  lists.options.resize(static_cast<size_t>(logits.extent(0)), {.bias_begin = 0, .bias_end = 1});
  return run(lists, logits, backend);
}

TensorView Sampler::run(const Lists& lists, const TensorView& logits, ops::Backend& backend) {
  const int64_t rows = logits.extent(0);
  CHECK_EQ(static_cast<int64_t>(lists.options.size()), rows);
  const TensorView tokens = tokens_.rows(0, rows);
  backend.run(ops::Sample{.tokens = tokens,
                          .logits = logits,
                          .options = upload_list(options_, lists.options, backend),
                          .history = upload_list(history_, lists.history, backend),
                          .bias_ids = upload_list(bias_ids_, lists.bias_ids, backend),
                          .bias_values = upload_list(bias_values_, lists.bias_values, backend),
                          .vocab_limit = vocab_limit_});
  return tokens;
}

}  // namespace gallop::engine
