#include "cli/bench_run.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/split_mix.h"
#include "base/thread_pool.h"
#include "cli/open_generator.h"
#include "model/weight_loader.h"
#include "ops/cpu/machine_rates.h"

namespace gallop::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

// One request, as its events told it.
struct Run {
  double prefill_seconds = 0;
  double decode_seconds = 0;
  std::vector<int32_t> gained;  // by each step behind the prompt
};

// Submits and waits for the last event. Of a run that decodes, the prompt's operations do not
// count in the profile.
Result<Run> run_once(engine::Generator& generator, ops::TimedBackend* timed,
                     const engine::Request& request) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<engine::FinishReason> finish;
    std::string error;
    Clock::time_point first;
    Clock::time_point last;
    std::vector<int32_t> gained;
  };
  auto shared = std::make_shared<Shared>();
  const Clock::time_point begin = Clock::now();
  if (timed != nullptr) timed->set_counting(request.max_tokens == 1);
  const auto id = generator.submit(request, [shared, timed](const engine::TokenEvent& event) {
    const Clock::time_point now = Clock::now();
    if (timed != nullptr) timed->set_counting(true);
    const std::lock_guard lock(shared->mutex);
    if (event.from_prefill) shared->first = now;
    if (!event.from_prefill && !event.tokens.empty()) {
      shared->gained.push_back(static_cast<int32_t>(event.tokens.size()));
    }
    shared->last = now;
    shared->error = event.error;
    shared->finish = event.finish;
    if (event.finish) shared->done.notify_all();
  });
  if (!id.ok()) return id.error();
  std::unique_lock lock(shared->mutex);
  shared->done.wait(lock, [&] { return shared->finish.has_value(); });
  if (*shared->finish != engine::FinishReason::kLength) {
    return Error{"a run ended before its tokens: " + shared->error, ErrorCode::kInternal};
  }
  return Run{.prefill_seconds = seconds_between(begin, shared->first),
             .decode_seconds = seconds_between(shared->first, shared->last),
             .gained = shared->gained};
}

// The same random ids on every machine.
std::vector<int32_t> random_prompt(int32_t tokens, int64_t vocab) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < tokens; ++i) {
    const uint64_t bits = split_mix(static_cast<uint64_t>(i) * kSplitMixStep);
    ids.push_back(static_cast<int32_t>(bits % static_cast<uint64_t>(vocab)));
  }
  return ids;
}

std::string name_of(const ops::FloatWeight& weight) {
  return lower_case(dtype_name(weight.weight.dtype()));
}
std::string name_of(const ops::Nvfp4Weight&) { return "nvfp4"; }
std::string name_of(const ops::Fp8Weight&) { return "fp8"; }

// The format of a linear layer: "bf16".
std::string format_of(const ops::LinearWeight& weight) {
  return std::visit([](const auto& stored) { return name_of(stored); },
                    weight.parts.front().weight);
}

// A model that is loaded and ready, with what its work is computed from.
struct Bench {
  std::unique_ptr<model::LoadedModel> target;
  std::unique_ptr<model::LoadedDrafter> drafter;
  std::unique_ptr<engine::Generator> generator;
  ops::TimedBackend* timed = nullptr;  // the generator's, where a profile is asked for
  BenchResult result;
};

Result<Bench> open_bench(const BenchOptions& options, int32_t prompt, int32_t behind) {
  Bench bench;
  ASSIGN_OR_RETURN(model::LoadedModel target, model::load_model(options.model));
  bench.target = std::make_unique<model::LoadedModel>(std::move(target));
  if (!options.drafter.empty()) {
    ASSIGN_OR_RETURN(model::LoadedDrafter drafter,
                     model::load_drafter(options.drafter, bench.target->config));
    bench.drafter = std::make_unique<model::LoadedDrafter>(std::move(drafter));
  }
  const model::ModelConfig& config = bench.target->config;
  bench.result.model = fmt::format("layers={} hidden={} weights={}", config.layers(), config.hidden,
                                   format_of(bench.target->weights.layers.front().mlp.gate_up));
  if (bench.drafter) bench.result.drafter = format_of(bench.drafter->weights.fc);
  const int32_t most = bench.drafter ? bench.drafter->config.block - 1 : 0;
  bench.result.drafts = options.drafts.value_or(most);
  bench.result.threads = options.threads > 0 ? options.threads : usable_cores();
  const int64_t length = int64_t{prompt} + behind;
  if (length > config.max_positions) {
    return Error{fmt::format(
        "{} tokens and {} behind them are more than max_position_embeddings, {}, of {}", prompt,
        behind, config.max_positions, (options.model / "config.json").string())};
  }
  GeneratorOptions generator{.model = options.model,
                             .drafter = options.drafter,
                             .threads = bench.result.threads,
                             .max_model_len = static_cast<int32_t>(std::max<int64_t>(length, 2)),
                             .max_num_seqs = 1,
                             .max_num_batched_tokens = options.chunk};
  if (options.profile) {
    generator.wrap_backend = [&bench](std::unique_ptr<ops::Backend> inner) {
      auto timed = std::make_unique<ops::TimedBackend>(std::move(inner));
      bench.timed = timed.get();
      return timed;
    };
  }
  const Clock::time_point begin = Clock::now();
  ASSIGN_OR_RETURN(bench.generator, open_generator(generator));
  bench.result.load_ms = 1e3 * seconds_between(begin, Clock::now());
  return bench;
}

// The run whose time is the median (the lower of two), after one that is not counted.
template <typename Time>
Result<Run> median_run(Bench& bench, const engine::Request& request, int32_t count, Time time) {
  ASSIGN_OR_RETURN(Run warm, run_once(*bench.generator, bench.timed, request));
  if (bench.timed != nullptr) bench.timed->reset();
  std::vector<Run> runs;
  for (int32_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(Run run, run_once(*bench.generator, bench.timed, request));
    runs.push_back(std::move(run));
  }
  if (bench.timed != nullptr) bench.result.profile = bench.timed->times();
  std::sort(runs.begin(), runs.end(),
            [&](const Run& a, const Run& b) { return time(a) < time(b); });
  return std::move(runs[(runs.size() - 1) / 2]);
}

// Rates are taken for as many bytes as a step reads, so that a model that fits into a cache has the
// cache's rate as its floor. Each step waits for the slower of its two needs. The model goes first:
// its memory and the measurement's are not needed at once.
Result<BenchResult> with_floor(const std::vector<model::Work>& steps, Bench bench) {
  BenchResult result = std::move(bench.result);
  bench = {};
  double most = 0;
  for (const model::Work& step : steps) most = std::max(most, step.bytes);
  constexpr double kMostBytes = 4e9;  // far more than any cache
  const auto bytes = static_cast<int64_t>(std::min(most, kMostBytes));
  ASSIGN_OR_RETURN(result.read_rate, ops::read_rate(bytes, result.threads));
  result.multiply_add_rate = ops::multiply_add_rate(result.threads);
  for (const model::Work& step : steps) {
    result.work += step;
    result.floor_seconds +=
        std::max(step.bytes / result.read_rate, step.operations / result.multiply_add_rate);
  }
  return result;
}

engine::Request request_of(std::vector<int32_t> prompt, int32_t max_tokens, int32_t drafts) {
  return {.prompt = std::move(prompt),
          .max_tokens = max_tokens,
          .ignore_eos = true,
          .stop_token_ids = {},
          .drafts = drafts,
          .sampling = {}};
}

}  // namespace

Result<BenchResult> bench_prefill(const BenchOptions& options) {
  ASSIGN_OR_RETURN(Bench bench, open_bench(options, options.tokens, 1));
  const int64_t vocab = bench.target->config.vocab;
  const engine::Request request =
      request_of(random_prompt(options.tokens, vocab), 1, bench.result.drafts);
  ASSIGN_OR_RETURN(const Run run, median_run(bench, request, options.runs,
                                             [](const Run& r) { return r.prefill_seconds; }));
  std::vector<model::Work> steps;
  for (int32_t begin = 0; begin < options.tokens; begin += options.chunk) {
    const int32_t rows = std::min(options.chunk, options.tokens - begin);
    const bool last = begin + rows == options.tokens;
    steps.push_back(model::target_work(*bench.target, begin, rows, last ? 1 : 0));
    if (bench.result.drafts > 0) {
      steps.back() += model::drafter_work(*bench.drafter, *bench.target, begin, 0, rows);
    }
  }
  bench.result.seconds = run.prefill_seconds;
  bench.result.tokens = options.tokens;
  bench.result.steps = static_cast<double>(steps.size());
  return with_floor(steps, std::move(bench));
}

Result<BenchResult> bench_decode(const BenchOptions& options) {
  ASSIGN_OR_RETURN(Bench bench, open_bench(options, options.context, options.tokens + 1));
  const int64_t vocab = bench.target->config.vocab;
  const int32_t drafts = bench.result.drafts;
  const engine::Request request =
      request_of(random_prompt(options.context, vocab), options.tokens + 1, drafts);
  ASSIGN_OR_RETURN(const Run run, median_run(bench, request, options.runs,
                                             [](const Run& r) { return r.decode_seconds; }));
  std::vector<model::Work> steps;
  int64_t context = options.context;
  for (const int32_t gained : run.gained) {
    model::Work work = model::target_work(*bench.target, context, 1 + drafts, 1 + drafts);
    if (drafts > 0) {
      work += model::drafter_work(*bench.drafter, *bench.target, context, 1 + drafts, gained);
    }
    steps.push_back(work);
    context += gained;
  }
  bench.result.seconds = run.decode_seconds;
  bench.result.tokens = options.tokens;
  bench.result.steps = static_cast<double>(steps.size());
  return with_floor(steps, std::move(bench));
}

}  // namespace gallop::cli
