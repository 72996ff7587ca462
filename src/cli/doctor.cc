#include "cli/doctor.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/json.h"
#include "base/machine.h"
#include "base/thread_pool.h"
#include "cache/page_math.h"
#include "cli/open_generator.h"
#include "cli/report.h"
#include "cli/units.h"
#include "model/weight_loader.h"
#include "ops/cpu/cpu_backend.h"
#include "ops/cpu/instruction_set.h"
#include "ops/cpu/machine_rates.h"
#include "ops/cpu/simd.h"

namespace gallop::cli {
namespace {

struct DoctorOptions {
  std::filesystem::path model;    // empty: the machine alone
  std::filesystem::path drafter;  // empty: no drafter
  bool json = false;
};

// Bytes to read for the memory's rate: several times the last cache, but little of the memory.
int64_t rate_bytes(int64_t available) {
  constexpr int64_t kLeast = 256 << 20;
  constexpr int64_t kMost = int64_t{2} << 30;
  const int64_t wanted = std::clamp(4 * largest_cache_bytes(), kLeast, kMost);
  return std::min(wanted, std::max<int64_t>(available / 8, 1 << 20));
}

Result<Json> describe_machine(int64_t available) {
  const int cores = usable_cores();
  const int64_t bytes = rate_bytes(available);
  ASSIGN_OR_RETURN(const double read_one, ops::read_rate(bytes, 1));
  ASSIGN_OR_RETURN(const double read_all, ops::read_rate(bytes, cores));
  return Json{{"cpu", cpu_name()},
              {"cores", cores},
              {"instruction_set", ops::simd::instruction_set()},
              {"instruction_sets", ops::runnable_instruction_sets()},
              {"memory_bytes", total_memory_bytes()},
              {"memory_available_bytes", available},
              {"cache_bytes", largest_cache_bytes()},
              {"read_buffer_bytes", bytes},
              {"read_gb_per_s", {{"one_thread", read_one / 1e9}, {"all_threads", read_all / 1e9}}},
              {"multiply_add_gflop_per_s",
               {{"one_thread", ops::multiply_add_rate(1) / 1e9},
                {"all_threads", ops::multiply_add_rate(cores) / 1e9}}},
              {"cuda", false}};
}

// What the defaults of `serve` and `generate` make of the memory, by the functions that they use.
Result<Json> describe_model(const DoctorOptions& options, int64_t available) {
  ASSIGN_OR_RETURN(const model::LoadedModel target, model::load_model(options.model));
  std::optional<model::LoadedDrafter> drafter;
  if (!options.drafter.empty()) {
    ASSIGN_OR_RETURN(drafter, model::load_drafter(options.drafter, target.config));
  }
  const int32_t context = target.config.max_positions;
  const int32_t block = drafter ? drafter->config.block : 1;
  const int32_t prompt_tokens = std::min(GeneratorOptions{}.max_num_batched_tokens, context);
  const engine::ExecutorLimits limits{
      .max_num_seqs = GeneratorOptions{}.max_num_seqs,
      .max_num_batched_tokens = prompt_tokens + GeneratorOptions{}.max_num_seqs * block,
      .max_prompt_tokens = prompt_tokens,
      .max_block = block,
      .max_model_len = context,
      .stop_ids = {}};
  const std::unique_ptr<ops::Backend> backend = ops::make_cpu_backend(1);
  ASSIGN_OR_RETURN(const ModelMemory memory,
                   model_memory(target, drafter ? &*drafter : nullptr, limits, *backend));
  const int64_t budget = memory.cache_budget(limits.max_num_seqs, available);
  const int64_t fits = fitting_context(limits, memory.page, budget);
  return Json{{"directory", options.model.string()},
              {"weight_bytes", memory.weights},
              {"sequences", limits.max_num_seqs},
              {"state_bytes_per_sequence", memory.state},
              {"buffer_bytes", memory.buffers},
              {"cache_bytes_per_token", memory.page / cache::kPageTokens},
              {"memory_available_bytes", available},
              {"cache_budget_bytes", budget},
              {"context_tokens", std::clamp<int64_t>(fits, 0, context)},
              {"context_tokens_max", context},
              {"weights_fit", memory.weights <= available}};
}

void print_machine(const Json& machine) {
  const auto line = [](std::string_view name, const std::string& value) {
    std::cout << fmt::format("{:<18}{}\n", name, value);
  };
  const auto rates = [&](const char* key, std::string_view unit) {
    return fmt::format("{:.1f} {} with one thread, {:.1f} {} with all",
                       machine[key]["one_thread"].get<double>(), unit,
                       machine[key]["all_threads"].get<double>(), unit);
  };
  std::vector<std::string> sets = machine["instruction_sets"];
  line("processor", machine["cpu"]);
  line("usable cores", std::to_string(machine["cores"].get<int>()));
  line("instruction set",
       fmt::format("{} (GALLOP_INSTRUCTION_SET forces one of {})",
                   machine["instruction_set"].get<std::string>(), fmt::join(sets, ", ")));
  line("memory", fmt::format("{}, available {}", bytes_text(machine["memory_bytes"]),
                             bytes_text(machine["memory_available_bytes"])));
  line("reads", rates("read_gb_per_s", "GB/s") +
                    fmt::format(" ({} again and again)", bytes_text(machine["read_buffer_bytes"])));
  line("multiply-adds", rates("multiply_add_gflop_per_s", "GFLOP/s") + " (F32)");
  line("GPU", "this build has no CUDA backend");
}

void print_model(const Json& model) {
  const int64_t context = model["context_tokens"];
  const int64_t most = model["context_tokens_max"];
  std::cout << fmt::format("\n{}\n", model["directory"].get<std::string>());
  std::cout << fmt::format(
      "  weights {}{}\n  state {} a sequence, keys and values {} a token, buffers of a step {}\n",
      bytes_text(model["weight_bytes"]),
      model["weights_fit"].get<bool>() ? "" : ", more than the available memory",
      bytes_text(model["state_bytes_per_sequence"]), bytes_text(model["cache_bytes_per_token"]),
      bytes_text(model["buffer_bytes"]));
  std::cout << fmt::format(
      "  context {} tokens{}: the cache may take {}, of {} available\n"
      "  (half of it, or what weights, buffers and the states of {} sequences leave)\n",
      context,
      context < most ? fmt::format(" of the model's {}", most)
                     : std::string(", all of the model's"),
      bytes_text(model["cache_budget_bytes"]), bytes_text(model["memory_available_bytes"]),
      model["sequences"].get<int32_t>());
}

Result<void> run_doctor(const DoctorOptions& options) {
  const int64_t available = available_memory_bytes();
  std::optional<Json> model;
  if (!options.model.empty()) {  // first: it fails at once where the machine takes seconds
    ASSIGN_OR_RETURN(model, describe_model(options, available));
  }
  ASSIGN_OR_RETURN(Json machine, describe_machine(available));
  if (options.json) {
    if (model) machine["model"] = *model;
    std::cout << dump_json(machine) << '\n';
    return flush_output();
  }
  print_machine(machine);
  if (model) print_model(*model);
  return flush_output();
}

}  // namespace

void add_doctor_command(Command& root) {
  auto options = std::make_shared<DoctorOptions>();
  Command command = root.command("doctor", "What this machine can run, and how fast");
  const Option model =
      command.option("--model", options->model, "Checkpoint whose context is to fit");
  command.option("--drafter", options->drafter, "The model's DFlash drafter").needs(model);
  command.flag("--json", options->json, "One JSON object");
  command.runs([options] { return report(run_doctor(*options)); });
}

}  // namespace gallop::cli
