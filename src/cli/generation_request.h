// One line of `generate --batch`, or the flags of a single request, as an engine request.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/request.h"
#include "server/sampling_defaults.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace gallop::cli {

// What a directory offers for text; both may be absent (a checkpoint without tokenizer files).
struct TextTools {
  const text::Tokenizer* tokenizer = nullptr;
  const text::ChatTemplate* chat_template = nullptr;
};

struct GenerationRequest {
  engine::Request request;
  std::vector<std::string> stop;  // stop strings
};

// The options of `json` against their ranges, as far as no model is needed to tell; it need not
// hold a prompt. Errors as below.
Result<void> check_request_options(const Json& json);

// `json`: an object with exactly one of `tokens`, `prompt`, `messages`, and options in snake_case.
// Absent options come from `defaults`; `spec_tokens` absent or "auto": `max_drafts`. Errors name
// the key, what it must be and what it is.
Result<GenerationRequest> parse_generation_request(const Json& json,
                                                   const server::SamplingDefaults& defaults,
                                                   int32_t max_drafts, const TextTools& tools);

}  // namespace gallop::cli
