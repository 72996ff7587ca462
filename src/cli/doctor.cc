#include "cli/doctor.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/json.h"
#include "base/machine.h"
#include "base/thread_pool.h"
#include "cache/page_math.h"
#include "checkpoint/hf_checkpoint.h"
#include "cli/open_generator.h"
#include "cli/report.h"
#include "cli/units.h"
#include "model/config.h"
#include "model/drafter_config.h"
#include "model/model_cache.h"
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
int64_t rate_bytes() {
  constexpr int64_t kLeast = 256 << 20;
  constexpr int64_t kMost = int64_t{2} << 30;
  const int64_t wanted = std::clamp(4 * largest_cache_bytes(), kLeast, kMost);
  return std::min(wanted, std::max<int64_t>(available_memory_bytes() / 8, 1 << 20));
}

Result<Json> describe_machine() {
  const int cores = usable_cores();
  const int64_t bytes = rate_bytes();
  ASSIGN_OR_RETURN(const double read_one, ops::read_rate(bytes, 1));
  ASSIGN_OR_RETURN(const double read_all, ops::read_rate(bytes, cores));
  return Json{{"cpu", cpu_name()},
              {"cores", cores},
              {"instruction_set", ops::simd::instruction_set()},
              {"instruction_sets", ops::runnable_instruction_sets()},
              {"memory_bytes", total_memory_bytes()},
              {"memory_available_bytes", available_memory_bytes()},
              {"cache_bytes", largest_cache_bytes()},
              {"read_buffer_bytes", bytes},
              {"read_gb_per_s", {{"one_thread", read_one / 1e9}, {"all_threads", read_all / 1e9}}},
              {"multiply_add_gflop_per_s",
               {{"one_thread", ops::multiply_add_rate(1) / 1e9},
                {"all_threads", ops::multiply_add_rate(cores) / 1e9}}},
              {"cuda", false}};
}

int64_t tensor_bytes(const checkpoint::HfCheckpoint& files) {
  int64_t bytes = 0;
  for (const checkpoint::SafetensorsFile& file : files.files()) {
    for (const checkpoint::TensorInfo& tensor : file.tensors()) {
      bytes += static_cast<int64_t>(tensor.end - tensor.begin);
    }
  }
  return bytes;
}

Error config_error(const std::filesystem::path& directory, const Error& error) {
  return Error{(directory / "config.json").string() + ": " + error.message, error.code,
               error.param};
}

// What the defaults of `serve` make of the memory: pages in half of what is available.
Result<Json> describe_model(const DoctorOptions& options) {
  ASSIGN_OR_RETURN(const auto files, checkpoint::HfCheckpoint::open(options.model));
  const Result<model::ModelConfig> config = model::parse_model_config(files.config());
  if (!config.ok()) return config_error(options.model, config.error());
  std::optional<model::DrafterConfig> drafter;
  int64_t weights = tensor_bytes(files);
  if (!options.drafter.empty()) {
    ASSIGN_OR_RETURN(const auto drafter_files, checkpoint::HfCheckpoint::open(options.drafter));
    const Result<model::DrafterConfig> parsed = model::parse_drafter_config(drafter_files.config());
    if (!parsed.ok()) return config_error(options.drafter, parsed.error());
    const Result<void> match = model::check_drafter_matches(*parsed, *config);
    if (!match.ok()) return config_error(options.drafter, match.error());
    drafter = *parsed;
    weights += tensor_bytes(drafter_files);
  }
  const std::unique_ptr<ops::Backend> backend = ops::make_cpu_backend(1);
  const int32_t block = drafter ? drafter->block : 1;
  // Untouched, it takes no memory: the arena's own sum of a sequence's states.
  ASSIGN_OR_RETURN(
      const model::ModelCache state,
      model::allocate_cache(*config, {.page_tokens = 1, .slots = 1, .max_block = block}, *backend));
  const int64_t page_bytes =
      cache_page_bytes(*config, drafter ? &*drafter : nullptr, backend->cache_dtype());
  const int64_t available = available_memory_bytes();
  const engine::ExecutorLimits limits{
      .max_block = block, .max_model_len = config->max_positions, .stop_ids = {}};
  const int64_t fits = fitting_context(limits, page_bytes, available);
  return Json{{"directory", options.model.string()},
              {"weight_bytes", weights},
              {"state_bytes_per_sequence", static_cast<int64_t>(state.memory.bytes())},
              {"cache_bytes_per_token", page_bytes / cache::kPageTokens},
              {"cache_budget_bytes", available / 2},
              {"context_tokens", std::clamp<int64_t>(fits, 0, config->max_positions)},
              {"context_tokens_max", config->max_positions},
              {"weights_fit", weights <= available}};
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
      "  weights {}{}\n  state {} a sequence, keys and values {} a token\n",
      bytes_text(model["weight_bytes"]),
      model["weights_fit"].get<bool>() ? "" : ", more than the available memory",
      bytes_text(model["state_bytes_per_sequence"]), bytes_text(model["cache_bytes_per_token"]));
  std::cout << fmt::format("  context {} tokens{}: half of the available memory is {}\n", context,
                           context < most ? fmt::format(" of the model's {}", most)
                                          : std::string(", all of the model's"),
                           bytes_text(model["cache_budget_bytes"]));
}

Result<void> run_doctor(const DoctorOptions& options) {
  std::optional<Json> model;
  if (!options.model.empty()) {  // first: it fails at once where the machine takes seconds
    ASSIGN_OR_RETURN(model, describe_model(options));
  }
  ASSIGN_OR_RETURN(Json machine, describe_machine());
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
