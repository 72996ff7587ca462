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
#include "cli/units.h"
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

// Adds up what would be allocated and gives out addresses that nobody may read: what is built on it
// says how much memory it takes, and takes none.
class PlanningBackend : public ops::Backend {
 public:
  explicit PlanningBackend(const ops::Backend& device) : device_(device) {}

  int64_t bytes() const { return bytes_; }

  Result<Buffer> allocate(size_t bytes) override {
    bytes_ += static_cast<int64_t>(bytes);
    return Buffer(&address_, bytes, [](void*) {});
  }
  TensorView place(const TensorView& weight) override { return weight; }
  ops::LinearWeight place(const ops::LinearWeight& weight) override { return weight; }
  DType activation_dtype() const override { return device_.activation_dtype(); }
  DType cache_dtype() const override { return device_.cache_dtype(); }
  void run(const ops::Op&) override { CHECK(false); }
  void upload(const TensorView&, const void*) override { CHECK(false); }
  void download(void*, const TensorView&) override { CHECK(false); }
  Result<void> synchronize() override { return {}; }

 private:
  const ops::Backend& device_;
  int64_t bytes_ = 0;
  alignas(64) uint8_t address_ = 0;
};

// What an executor allocates: pages, states and buffers.
Result<int64_t> executor_bytes(const model::LoadedModel& target,
                               const model::LoadedDrafter* drafter,
                               const engine::ExecutorLimits& limits, const ops::Backend& backend) {
  PlanningBackend planning(backend);
  ASSIGN_OR_RETURN(const std::unique_ptr<engine::Executor> executor,
                   engine::Executor::create(target, drafter, limits, planning));
  return planning.bytes();
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
  if (fits >= limits.max_model_len) return;
  log_warning(
      fmt::format("the context is {} tokens instead of {}: the {:.2f} GiB of memory for the cache "
                  "hold no more; --max-model-len sets it",
                  fits, limits.max_model_len, gib(budget_bytes)));
  limits.max_model_len = static_cast<int32_t>(fits);
}

}  // namespace

int64_t ModelMemory::cache_budget(int32_t max_num_seqs, int64_t available_bytes) const {
  const int64_t left = available_bytes - weights - max_num_seqs * state - buffers;
  return std::max<int64_t>(0, std::min(available_bytes / 2, left));
}

Result<ModelMemory> model_memory(const model::LoadedModel& target,
                                 const model::LoadedDrafter* drafter, engine::ExecutorLimits limits,
                                 const ops::Backend& backend) {
  PlanningBackend planning(backend);
  ASSIGN_OR_RETURN(
      const model::ModelCache slot,
      model::allocate_cache(
          target.config, {.page_tokens = 1, .slots = 1, .max_block = limits.max_block}, planning));
  const int64_t state = planning.bytes();
  limits.pages = 0;
  ASSIGN_OR_RETURN(const int64_t without_pages, executor_bytes(target, drafter, limits, backend));
  limits.pages = 1;
  ASSIGN_OR_RETURN(const int64_t with_page, executor_bytes(target, drafter, limits, backend));
  ModelMemory memory{.weights = model::weight_bytes(target),
                     .state = state,
                     .buffers = without_pages - limits.max_num_seqs * state,
                     .page = std::max<int64_t>(1, with_page - without_pages)};
  if (drafter != nullptr) memory.weights += model::weight_bytes(*drafter);
  return memory;
}

int64_t fitting_context(const engine::ExecutorLimits& limits, int64_t page_bytes,
                        int64_t budget_bytes) {
  return affordable_pages(page_bytes, budget_bytes) * cache::kPageTokens - limits.max_block;
}

Result<void> check_memory(const ModelMemory& memory, const engine::ExecutorLimits& limits,
                          int64_t available_bytes) {
  const int64_t budget = memory.cache_budget(limits.max_num_seqs, available_bytes);
  if (fitting_context(limits, memory.page, budget) >= 2) return {};
  const bool weights_fit = memory.weights < available_bytes;
  return Error{
      fmt::format("weights of {}, states of {} x {} sequences and buffers of {} leave no room for "
                  "a cache in the {} of available memory: {}",
                  bytes_text(memory.weights), bytes_text(memory.state), limits.max_num_seqs,
                  bytes_text(memory.buffers), bytes_text(available_bytes),
                  weights_fit && limits.max_num_seqs > 1 ? "a smaller --max-num-seqs needs less"
                                                         : "this model needs more memory"),
      ErrorCode::kUnavailable};
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
                    fitting_context(limits, page_bytes, budget_bytes)),
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
  const int32_t max_block = drafter ? drafter->config.block : 1;
  const int32_t max_prompt_tokens = std::min(options.max_num_batched_tokens, max_model_len);
  engine::EngineLimits limits{
      .executor = {
          .max_num_seqs = options.max_num_seqs,
          .max_num_batched_tokens = max_prompt_tokens + options.max_num_seqs * max_block,
          .max_prompt_tokens = max_prompt_tokens,
          .max_block = max_block,
          .max_model_len = max_model_len,
          .vocab_limit = options.vocab_limit > 0 ? std::min(options.vocab_limit, vocab) : vocab,
          .stop_ids = stop_ids}};
  ASSIGN_OR_RETURN(const ModelMemory memory,
                   model_memory(*target, drafter.get(), limits.executor, *backend));
  const int64_t available = available_memory_bytes();
  RETURN_IF_ERROR(check_memory(memory, limits.executor, available));
  const int64_t budget = memory.cache_budget(options.max_num_seqs, available);
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
