#include "cli/open_generator.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "base/log.h"
#include "base/machine.h"
#include "base/thread_pool.h"
#include "cache/page_math.h"
#include "checkpoint/hf_checkpoint.h"
#include "engine/engine.h"
#include "model/drafter_config.h"
#include "model/generation_config.h"
#include "model/model_cache.h"
#include "ops/cpu/cpu_backend.h"

namespace gallop::cli {
namespace {

double gib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

int64_t affordable_pages(int64_t page_bytes, int64_t budget_bytes) {
  constexpr int64_t kMostPages = INT32_MAX / (4 * cache::kPageTokens);  // places are 32-bit
  return std::min(budget_bytes / page_bytes, kMostPages);
}

// Key-value bytes of one page over all attention layers.
int64_t page_bytes_of(const model::ModelConfig& target, const model::LoadedDrafter* drafter,
                      DType cache_dtype) {
  const int64_t layers = std::count(target.layer_kinds.begin(), target.layer_kinds.end(),
                                    model::LayerKind::kFullAttention);
  int64_t per_token = layers * target.kv_heads * target.head_dim;
  if (drafter != nullptr) {
    const model::DrafterConfig& config = drafter->config;
    per_token += static_cast<int64_t>(config.layers.size()) * config.kv_heads * config.head_dim;
  }
  const auto element = static_cast<int64_t>(dtype_bytes(cache_dtype));
  return std::max<int64_t>(1, 2 * per_token * cache::kPageTokens * element);
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
void shorten_context(engine::ExecutorLimits& limits, int64_t page_bytes, int64_t budget_bytes) {
  const int64_t fits = fitting_context(limits, page_bytes, budget_bytes);
  if (fits < 2 || fits >= limits.max_model_len) return;
  log_warning(
      fmt::format("the context is {} tokens instead of {}: the {:.2f} GiB of memory for the cache "
                  "hold no more; --max-model-len sets it",
                  fits, limits.max_model_len, gib(budget_bytes)));
  limits.max_model_len = static_cast<int32_t>(fits);
}

}  // namespace

int64_t ModelMemory::cache_budget(int32_t max_num_seqs, int64_t available_bytes) const {
  const int64_t left = available_bytes - weights - max_num_seqs * state;
  return std::max<int64_t>(0, std::min(available_bytes / 2, left));
}

Result<ModelMemory> model_memory(const model::LoadedModel& target,
                                 const model::LoadedDrafter* drafter, int32_t max_block,
                                 ops::Backend& backend) {
  // Untouched, it takes no memory: the arena's own sum of a sequence's states.
  ASSIGN_OR_RETURN(
      const model::ModelCache state,
      model::allocate_cache(target.config, {.page_tokens = 1, .slots = 1, .max_block = max_block},
                            backend));
  ModelMemory memory{.weights = model::weight_bytes(target),
                     .state = static_cast<int64_t>(state.memory.bytes()),
                     .page = page_bytes_of(target.config, drafter, backend.cache_dtype())};
  if (drafter != nullptr) memory.weights += model::weight_bytes(*drafter);
  return memory;
}

int64_t fitting_context(const engine::ExecutorLimits& limits, int64_t page_bytes,
                        int64_t budget_bytes) {
  return affordable_pages(page_bytes, budget_bytes) * cache::kPageTokens - limits.max_block;
}

Result<int32_t> plan_pages(const engine::ExecutorLimits& limits, int64_t page_bytes,
                           int64_t budget_bytes) {
  const int64_t context = limits.max_pages_per_sequence();
  const int64_t affordable = affordable_pages(page_bytes, budget_bytes);
  if (affordable < context) {
    return Error{
        fmt::format("a context of {} tokens needs {:.2f} GiB of cache, the memory has {:.2f} GiB "
                    "for it: use --max-model-len {}",
                    limits.max_model_len, gib(context * page_bytes), gib(budget_bytes),
                    std::max<int64_t>(fitting_context(limits, page_bytes, budget_bytes), 2)),
        ErrorCode::kUnavailable};
  }
  return static_cast<int32_t>(std::min(limits.max_num_seqs * context, affordable));
}

Result<int32_t> drafter_block(const std::filesystem::path& drafter) {
  ASSIGN_OR_RETURN(const Json json, checkpoint::load_config_json(drafter));
  const Result<model::DrafterConfig> config = model::parse_drafter_config(json);
  if (config.ok()) return config->block;
  return Error{(drafter / "config.json").string() + ": " + config.error().message};
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
  ASSIGN_OR_RETURN(const ModelMemory memory,
                   model_memory(*target, drafter.get(), limits.executor.max_block, *backend));
  const int64_t budget = memory.cache_budget(options.max_num_seqs, available_memory_bytes());
  if (options.max_model_len == 0) shorten_context(limits.executor, memory.page, budget);
  ASSIGN_OR_RETURN(limits.executor.pages, plan_pages(limits.executor, memory.page, budget));
  log_info(
      fmt::format("{} layers, {} threads, context {} tokens, {} sequences at once, "
                  "{} cache pages of {} tokens ({:.1f} MiB)",
                  config.layers(), threads, limits.executor.max_model_len, options.max_num_seqs,
                  limits.executor.pages, cache::kPageTokens,
                  static_cast<double>(limits.executor.pages * memory.page) / (1 << 20)));
  ASSIGN_OR_RETURN(
      std::unique_ptr<engine::Engine> engine,
      engine::Engine::start(std::move(target), std::move(drafter), std::move(backend), limits));
  return std::unique_ptr<engine::Generator>(std::move(engine));
}

}  // namespace gallop::cli
