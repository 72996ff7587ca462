// All that a client of the engine sees: token ids in, token events out. No text, no tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gallop::engine {

using RequestId = uint64_t;

// A temperature below this counts as 0 (vLLM's rule).
inline constexpr float kLeastTemperature = 1e-5f;

// OpenAI's bounds of a logit_bias value; what clients send beyond them counts as the bound.
inline constexpr float kMaxBias = 100;

// Defaults change nothing: the argmax of the raw logits. generation_config.json's values are filled
// in by the layers above. Order: logit_bias, penalties, temperature, min_p, top_k, top_p
// (ARCHITECTURE.md).
struct SamplingParams {
  float temperature = 0;  // below kLeastTemperature: argmax after bias and penalties; at most 2
  int32_t top_k = 0;      // 0: off
  float top_p = 1;        // (0, 1]; 1: off
  float min_p = 0;        // [0, 1]; 0: off
  float presence_penalty = 0;    // over generated tokens
  float frequency_penalty = 0;   // over generated tokens
  float repetition_penalty = 1;  // over prompt and generated tokens; > 0; 1: off
  uint64_t seed = 0;             // noise is keyed by (seed, position, token id)
  std::vector<std::pair<int32_t, float>> logit_bias;  // within +-kMaxBias
};

// Speculation off: plain decoding. Otherwise `drafts` tokens are drafted each step.
struct Request {
  std::vector<int32_t> prompt;          // token ids, at least one
  int32_t max_tokens = 0;               // generated tokens; at least 1; 0: to the context's end
  int32_t min_tokens = 0;               // stop ids are masked until so many tokens exist
  bool ignore_eos = false;              // the model's stop ids do not end the request
  std::vector<int32_t> stop_token_ids;  // beside the model's own
  int32_t drafts = 0;                   // speculative tokens per step; 0: plain decoding
  int32_t priority = 0;                 // the least runs first, and is preempted last
  SamplingParams sampling;
};

enum class FinishReason { kStop, kLength, kCancelled, kError };

// What one step gave one request. Events of a request arrive in order; exactly one has `finish`.
struct TokenEvent {
  RequestId request = 0;
  std::vector<int32_t> tokens = {};         // new tokens in order, the stop token included
  bool from_prefill = false;                // the first token: not gained by a verify step
  std::optional<FinishReason> finish = {};  // set on the last event of the request
  std::string error = {};                   // the reason, for kError
};

}  // namespace gallop::engine
