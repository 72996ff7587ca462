// Whether a request can run at all: the last check of the ranges of its options, whoever calls.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "engine/request.h"

namespace gallop::engine {

// Entries of one request; they bound the sampler's buffers.
inline constexpr size_t kMaxBiases = 1024;   // logit_bias
inline constexpr size_t kMaxStopIds = 1024;  // stop_token_ids

struct RequestLimits {
  int32_t vocab = 0;        // ids a prompt may hold: [0, vocab)
  int32_t vocab_limit = 0;  // ids that can be chosen: [0, vocab_limit)
  int32_t max_model_len = 0;
  int32_t max_drafts = 0;
};

// The options alone: what can be said without the prompt and without max_model_len.
Result<void> check_options(const Request& request, const RequestLimits& limits);

// All of a request. An error names the field in `param`, what it must be and what it is.
Result<void> check_request(const Request& request, const RequestLimits& limits);

}  // namespace gallop::engine
