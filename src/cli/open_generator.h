// From directories on disk to a running engine: what `generate` and `serve` share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/result.h"
#include "engine/executor.h"
#include "engine/generator.h"
#include "model/weight_loader.h"
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

// What a model takes of the memory, in bytes.
struct ModelMemory {
  int64_t weights = 0;  // of target and drafter
  int64_t state = 0;    // of each sequence that may run
  int64_t buffers = 0;  // activations, logits and lists of the longest step
  int64_t page = 1;     // keys and values of one page in target and drafter, at least 1

  // What cache pages may take: half of the available memory, or what weights, states and buffers
  // leave of it where that is less.
  int64_t cache_budget(int32_t max_num_seqs, int64_t available_bytes) const;
};

// By what an executor with these limits, and any number of pages, allocates. `drafter` may be null.
Result<ModelMemory> model_memory(const model::LoadedModel& target,
                                 const model::LoadedDrafter* drafter, engine::ExecutorLimits limits,
                                 const ops::Backend& backend);

// The longest context, in tokens, whose pages the budget holds.
int64_t fitting_context(const engine::ExecutorLimits& limits, int64_t page_bytes,
                        int64_t budget_bytes);

// An error that says what uses up the memory, when that is not the cache: two tokens have no room.
Result<void> check_memory(const ModelMemory& memory, const engine::ExecutorLimits& limits,
                          int64_t available_bytes);

// Cache pages: what all sequences could need, within a budget that check_memory let through. An
// error when not even one sequence could use the whole context.
Result<int32_t> plan_pages(const engine::ExecutorLimits& limits, int64_t page_bytes,
                           int64_t budget_bytes);

// The rows of a drafter's block, which its config tells; errors begin with that file.
Result<int32_t> drafter_block(const std::filesystem::path& drafter);

// Loads and checks the checkpoints, plans the memory (printed on stderr) and starts the engine
// thread. The model's stop ids come from generation_config.json, else config.json.
Result<std::unique_ptr<engine::Generator>> open_generator(const GeneratorOptions& options);

}  // namespace gallop::cli
