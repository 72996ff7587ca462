#include "engine/request_check.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace gallop::engine {
namespace {

constexpr auto kSame = [](int32_t id) { return id; };

Error wrong(std::string_view field, std::string_view rule, auto value) {
  return Error{fmt::format("{} must be {}, it is {}", field, rule, value), ErrorCode::kInvalidInput,
               std::string(field)};
}

Result<void> check_ids(std::string_view field, const auto& ids, int32_t vocab, auto id_of) {
  for (const auto& entry : ids) {
    const int32_t id = id_of(entry);
    if (id < 0 || id >= vocab) {
      return wrong(field, fmt::format("token ids in [0, {})", vocab), id);
    }
  }
  return {};
}

Result<void> check_sampling(const SamplingParams& params, int32_t vocab_limit) {
  if (!(params.temperature >= 0 && params.temperature <= 2)) {
    return wrong("temperature", "in [0, 2]", params.temperature);
  }
  if (!(params.top_p > 0 && params.top_p <= 1)) return wrong("top_p", "in (0, 1]", params.top_p);
  if (!(params.min_p >= 0 && params.min_p <= 1)) return wrong("min_p", "in [0, 1]", params.min_p);
  if (params.top_k < 0) return wrong("top_k", "at least 0", params.top_k);
  if (!(std::abs(params.presence_penalty) <= 2)) {
    return wrong("presence_penalty", "in [-2, 2]", params.presence_penalty);
  }
  if (!(std::abs(params.frequency_penalty) <= 2)) {
    return wrong("frequency_penalty", "in [-2, 2]", params.frequency_penalty);
  }
  if (!(params.repetition_penalty > 0 && std::isfinite(params.repetition_penalty))) {
    return wrong("repetition_penalty", "above 0", params.repetition_penalty);
  }
  if (params.logit_bias.size() > kMaxBiases) {
    return wrong("logit_bias", fmt::format("at most {} entries", kMaxBiases),
                 params.logit_bias.size());
  }
  for (const auto& [id, bias] : params.logit_bias) {
    if (!(std::abs(bias) <= kMaxBias)) return wrong("logit_bias", "within +-100", bias);
  }
  return check_ids("logit_bias", params.logit_bias, vocab_limit,
                   [](const auto& entry) { return entry.first; });
}

// Clients match the opening of the message by its text.
Result<void> check_context(const Request& request, int32_t max_model_len) {
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  const int64_t wanted = std::max(1, request.max_tokens);
  if (prompt + wanted <= max_model_len) return {};
  return Error{
      fmt::format("This model's maximum context length is {} tokens. However, you requested {} "
                  "output tokens and your prompt contains at least {} input tokens, for a total "
                  "of at least {} tokens. Please reduce the length of the input prompt or the "
                  "number of requested output tokens.",
                  max_model_len, wanted, prompt, prompt + wanted),
      ErrorCode::kTooLarge, "input_tokens"};
}

}  // namespace

Result<void> check_options(const Request& request, const RequestLimits& limits) {
  if (request.max_tokens < 0) return wrong("max_tokens", "at least 1", request.max_tokens);
  if (request.min_tokens < 0) return wrong("min_tokens", "at least 0", request.min_tokens);
  if (request.max_tokens > 0 && request.min_tokens > request.max_tokens) {
    return wrong("min_tokens", fmt::format("at most max_tokens ({})", request.max_tokens),
                 request.min_tokens);
  }
  if (request.stop_token_ids.size() > kMaxStopIds) {
    return wrong("stop_token_ids", fmt::format("at most {} ids", kMaxStopIds),
                 request.stop_token_ids.size());
  }
  RETURN_IF_ERROR(check_ids("stop_token_ids", request.stop_token_ids, limits.vocab, kSame));
  if (request.drafts < 0 || request.drafts > limits.max_drafts) {
    return wrong("speculative tokens", fmt::format("in [0, {}]", limits.max_drafts),
                 request.drafts);
  }
  return check_sampling(request.sampling, limits.vocab_limit);
}

Result<void> check_request(const Request& request, const RequestLimits& limits) {
  RETURN_IF_ERROR(check_options(request, limits));
  if (request.prompt.empty()) return wrong("prompt", "at least one token", "empty");
  RETURN_IF_ERROR(check_context(request, limits.max_model_len));
  return check_ids("prompt", request.prompt, limits.vocab, kSame);
}

}  // namespace gallop::engine
