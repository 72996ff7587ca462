// Choosing tokens from logits: the argmax, or a draw that is a function of (seed, position, token
// id) alone, so that speculation changes nothing at any temperature.
#pragma once

#include <cstdint>

#include "tensor/tensor_view.h"

namespace gallop::ops {

// Below it a temperature counts as 0: scores divided by less could leave f32's range. Source: vLLM,
// _SAMPLING_EPS (vllm/sampling_params.py).
inline constexpr float kLeastTemperature = 1e-5f;

// In the place of an id: the row's logits are no numbers.
inline constexpr int32_t kNoToken = -1;

// The options of one row; one row of Sample::options.
struct SampleOptions {
  uint64_t seed = 0;
  float temperature = 0;  // below kLeastTemperature: argmax after bias and penalties
  float top_p = 1;
  float min_p = 0;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  float repetition_penalty = 1;
  int32_t top_k = 0;     // 0: off
  int32_t position = 0;  // of the token to be chosen
  // [history_begin, generated_begin) is the prompt, [generated_begin, history_end) what was
  // generated before this row; both are empty when no penalty is on.
  int32_t history_begin = 0;
  int32_t generated_begin = 0;
  int32_t history_end = 0;
  int32_t bias_begin = 0;  // [bias_begin, bias_end) of the bias lists; -inf bans a token
  int32_t bias_end = 0;
  int32_t reserved = 0;
};
static_assert(sizeof(SampleOptions) == 64);

// tokens[row] = the chosen id in [0, vocab_limit); equal scores: the lowest id. In this order, in
// f32 but for the mass of step 6 and the keys of step 7, which are f64:
//   1. l += bias;  2. l = l / r if l > 0 else l * r for each distinct history token (r the
//   repetition penalty), then l -= presence + frequency * count for each distinct generated token;
//   an l that is NaN is dropped, as a banned one is;
//   3. temperature below kLeastTemperature: argmax. Else l = l / temperature;
//   4. min_p: drop l < max + log(min_p);  5. top_k: drop l below the k-th largest (ties stay);
//   6. top_p: by descending l (ties: ascending id), keep the shortest prefix whose softmax mass
//      reaches top_p, at least one;
//   7. argmax of l - log(-log(r)), r = counter_uniform(seed, position, id) (Gumbel-max).
// A row without a token to choose gets the lowest id where all are banned, which is the caller's
// doing, and kNoToken where one of them is NaN.
// Source: the order of vLLM's sampler (logit_bias, penalties, temperature, min_p, top_k, top_p);
// Gumbel 1954 / Maddison et al. 2014 for step 7.
struct Sample {
  TensorView tokens;        // [rows] i32
  TensorView logits;        // [rows, vocab] activation dtype or f32; not changed
  TensorView options;       // [rows, 64] u8, SampleOptions
  TensorView history;       // [any] i32, token ids of all rows' histories; nullable
  TensorView bias_ids;      // [any] i32; nullable
  TensorView bias_values;   // [any] f32; nullable
  int32_t vocab_limit = 0;  // rows of the head at or beyond it are padding
};

void validate(const Sample& op);

// A number in (0, 1) with 52 random bits that depends on the three keys alone: two rounds of the
// SplitMix64 finaliser (Steele et al. 2014) over their combination.
double counter_uniform(uint64_t seed, int32_t position, int32_t token);

}  // namespace gallop::ops
