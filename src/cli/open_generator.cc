#include "cli/open_generator.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "base/log.h"
#include "base/machine.h"
#include "base/thread_pool.h"
#include "cache/page_math.h"
#include "engine/engine.h"
#include "model/generation_config.h"
#include "model/weight_loader.h"
#include "ops/cpu/cpu_backend.h"

namespace gallop::cli {
namespace {

double gib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

// Pages in half of the available memory.
int64_t affordable_pages(int64_t page_bytes, int64_t available_bytes) {
  constexpr int64_t kMostPages = INT32_MAX / (4 * cache::kPageTokens);  // places are 32-bit
  return std::min(available_bytes / 2 / page_bytes, kMostPages);
}

Result<int32_t> context_length(int32_t asked, int32_t max_positions) {
  if (asked == 0) return max_positions;
  if (asked < 2 || asked > max_positions) {
    return Error{
        fmt::format("--max-model-len must be in [2, {}] (max_position_embeddings), it is {}",
                    max_positions, asked)};
  }
  return asked;
}

// The model's own context where it fits, else what does; nobody asked for the whole of it.
void shorten_context(engine::ExecutorLimits& limits, int64_t page_bytes, int64_t available_bytes) {
  const int64_t fits = fitting_context(limits, page_bytes, available_bytes);
  if (fits < 2 || fits >= limits.max_model_len) return;
  log_warning(
      fmt::format("the context is {} tokens instead of {}: half of the available memory "
                  "holds no more; --max-model-len sets it",
                  fits, limits.max_model_len));
  limits.max_model_len = static_cast<int32_t>(fits);
}

}  // namespace

int64_t cache_page_bytes(const model::ModelConfig& target, const model::DrafterConfig* drafter,
                         DType cache_dtype) {
  const int64_t layers = std::count(target.layer_kinds.begin(), target.layer_kinds.end(),
                                    model::LayerKind::kFullAttention);
  int64_t per_token = layers * target.kv_heads * target.head_dim;
  if (drafter != nullptr) {
    per_token +=
        static_cast<int64_t>(drafter->layers.size()) * drafter->kv_heads * drafter->head_dim;
  }
  const auto element = static_cast<int64_t>(dtype_bytes(cache_dtype));
  return std::max<int64_t>(1, 2 * per_token * cache::kPageTokens * element);
}

int64_t fitting_context(const engine::ExecutorLimits& limits, int64_t page_bytes,
                        int64_t available_bytes) {
  return affordable_pages(page_bytes, available_bytes) * cache::kPageTokens - limits.max_block;
}

Result<int32_t> plan_pages(const engine::ExecutorLimits& limits, int64_t page_bytes,
                           int64_t available_bytes) {
  const int64_t context = limits.max_pages_per_sequence();
  const int64_t affordable = affordable_pages(page_bytes, available_bytes);
  if (affordable < context) {
    return Error{
        fmt::format("a context of {} tokens needs {:.2f} GiB of cache, half of the available "
                    "memory is {:.2f} GiB: use --max-model-len {}",
                    limits.max_model_len, gib(context * page_bytes), gib(available_bytes / 2),
                    std::max<int64_t>(fitting_context(limits, page_bytes, available_bytes), 2)),
        ErrorCode::kUnavailable};
  }
  return static_cast<int32_t>(std::min(limits.max_num_seqs * context, affordable));
}

Result<std::unique_ptr<engine::Generator>> open_generator(const GeneratorOptions& options) {
  ASSIGN_OR_RETURN(model::LoadedModel loaded, model::load_model(options.model));
  auto target = std::make_unique<model::LoadedModel>(std::move(loaded));
  std::unique_ptr<model::LoadedDrafter> drafter;
  if (!options.drafter.empty()) {
    ASSIGN_OR_RETURN(model::LoadedDrafter made,
                     model::load_drafter(options.drafter, target->config));
    drafter = std::make_unique<model::LoadedDrafter>(std::move(made));
  }
  const model::ModelConfig& config = target->config;
  ASSIGN_OR_RETURN(const std::vector<int32_t> stop_ids,
                   model::load_stop_ids(options.model, config));
  ASSIGN_OR_RETURN(const int32_t max_model_len,
                   context_length(options.max_model_len, config.max_positions));
  const int32_t threads = options.threads > 0 ? options.threads : usable_cores();
  std::unique_ptr<ops::Backend> backend = ops::make_cpu_backend(threads);
  if (options.wrap_backend) backend = options.wrap_backend(std::move(backend));

  const auto vocab = static_cast<int32_t>(config.vocab);
  engine::EngineLimits limits{
      .executor = {
          .max_num_seqs = options.max_num_seqs,
          .max_prompt_tokens = std::min(options.max_num_batched_tokens, max_model_len),
          .max_block = drafter ? drafter->config.block : 1,
          .max_model_len = max_model_len,
          .vocab_limit = options.vocab_limit > 0 ? std::min(options.vocab_limit, vocab) : vocab,
          .stop_ids = stop_ids}};
  const int64_t bytes_per_page =
      cache_page_bytes(config, drafter ? &drafter->config : nullptr, backend->cache_dtype());
  const int64_t memory = available_memory_bytes();
  if (options.max_model_len == 0) shorten_context(limits.executor, bytes_per_page, memory);
  ASSIGN_OR_RETURN(limits.executor.pages, plan_pages(limits.executor, bytes_per_page, memory));
  log_info(
      fmt::format("{} layers, {} threads, context {} tokens, {} sequences at once, "
                  "{} cache pages of {} tokens ({:.1f} MiB)",
                  config.layers(), threads, limits.executor.max_model_len, options.max_num_seqs,
                  limits.executor.pages, cache::kPageTokens,
                  static_cast<double>(limits.executor.pages * bytes_per_page) / (1 << 20)));
  ASSIGN_OR_RETURN(
      std::unique_ptr<engine::Engine> engine,
      engine::Engine::start(std::move(target), std::move(drafter), std::move(backend), limits));
  return std::unique_ptr<engine::Generator>(std::move(engine));
}

}  // namespace gallop::cli
