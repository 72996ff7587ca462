// Whether a request can run at all; the one place with the ranges of its options.
#pragma once

#include "base/result.h"
#include "engine/request.h"

namespace gallop::engine {

struct RequestLimits {
  int32_t vocab = 0;  // ids a prompt may hold: [0, vocab)
  int32_t max_model_len = 0;
  int32_t max_drafts = 0;
};

// An error names the field in `param`, what it must be and what it is.
Result<void> check_request(const Request& request, const RequestLimits& limits);

}  // namespace gallop::engine
