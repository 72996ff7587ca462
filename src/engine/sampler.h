// Turns logits into tokens: gathers the options, histories and biases of a step's rows for the
// Sample op.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/sequence.h"
#include "ops/backend.h"
#include "tensor/buffer.h"

namespace gallop::engine {

// Most entries of one step; the buffers are allocated once.
struct SamplerSizes {
  int64_t rows = 0;
  int64_t history = 0;  // tokens of all sequences, drafts included
  int64_t biases = 0;   // bans and biases of all sequences
};

// The rows of one sequence that choose tokens: row i chooses the token behind the known ones and
// the first i drafts.
struct SampledRows {
  const Sequence* sequence = nullptr;
  std::vector<int32_t> drafts;  // behind the sequence's known tokens
  int32_t rows = 0;             // 1 + drafts, or 1 at the end of a prompt
};

class Sampler {
 public:
  // `stop_ids`: the model's own, masked below a request's min_tokens.
  static Result<Sampler> create(const SamplerSizes& sizes, int32_t vocab_limit,
                                std::vector<int32_t> stop_ids, ops::Backend& backend);

  // tokens [rows] i32 for logits [rows, vocab], rows in the order of `sampled`.
  TensorView choose(std::span<const SampledRows> sampled, const TensorView& logits,
                    ops::Backend& backend);

  // tokens [rows] i32: the best of each row but for `banned`.
  TensorView choose_best(const TensorView& logits, int32_t banned, ops::Backend& backend);

 private:
  struct Lists {
    std::vector<ops::SampleOptions> options;
    std::vector<int32_t> history;
    std::vector<int32_t> bias_ids;
    std::vector<float> bias_values;
  };
  void add_rows(const SampledRows& rows, Lists& lists) const;
  TensorView run(const Lists& lists, const TensorView& logits, ops::Backend& backend);

  int32_t vocab_limit_ = 0;
  std::vector<int32_t> stop_ids_;
  TensorView tokens_;
  TensorView options_;
  TensorView history_;
  TensorView bias_ids_;
  TensorView bias_values_;
  Buffer memory_;
};

}  // namespace gallop::engine
