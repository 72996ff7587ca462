// From directories on disk to a running engine: what `generate` and `serve` share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/result.h"
#include "engine/executor.h"
#include "engine/generator.h"
#include "ops/backend.h"

namespace gallop::cli {

struct GeneratorOptions {
  std::filesystem::path model;
  std::filesystem::path drafter;  // empty: no drafter
  int32_t threads = 0;            // 0: the usable cores
  int32_t max_model_len = 0;      // 0: max_position_embeddings, or less where memory is short
  int32_t max_num_seqs = 8;
  int32_t max_num_batched_tokens = 512;  // most prompt tokens of a step
  // Puts the backend into a wrapper; empty: none.
  std::function<std::unique_ptr<ops::Backend>(std::unique_ptr<ops::Backend>)> wrap_backend = {};
  int32_t vocab_limit = 0;  // Tokenizer::vocab_limit(); 0: all rows of the model
};

// Key-value bytes of one page, over all attention layers of target and drafter (which may be null);
// at least 1.
int64_t cache_page_bytes(const model::ModelConfig& target, const model::DrafterConfig* drafter,
                         DType cache_dtype);

// The longest context, in tokens, whose pages half of the available memory holds.
int64_t fitting_context(const engine::ExecutorLimits& limits, int64_t page_bytes,
                        int64_t available_bytes);

// Cache pages: what all sequences could need, in at most half of the available memory. An error
// when not even one sequence could use the whole context.
Result<int32_t> plan_pages(const engine::ExecutorLimits& limits, int64_t page_bytes,
                           int64_t available_bytes);

// Loads and checks the checkpoints, plans the memory (printed on stderr) and starts the engine
// thread. The model's stop ids come from generation_config.json, else config.json.
Result<std::unique_ptr<engine::Generator>> open_generator(const GeneratorOptions& options);

}  // namespace gallop::cli
