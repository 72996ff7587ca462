#include "cli/inspect.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/hf_checkpoint.h"
#include "cli/report.h"
#include "cli/units.h"
#include "model/checkpoint_summary.h"
#include "model/weight_loader.h"
#include "server/chat_service.h"
#include "text/chat_template.h"

namespace gallop::cli {
namespace {

struct InspectOptions {
  std::filesystem::path directory;
  bool json = false;
};

// What the loaders say of a directory: nothing where they take it, else why not.
struct Verdict {
  bool drafter = false;
  std::string shape;                      // in words; empty where the config is not understood
  std::optional<std::string> load_error;  // of the weights
  std::optional<std::string> text_error;  // of tokenizer and template
  std::vector<std::string> set_aside;
};

std::string target_words(const model::ModelConfig& config) {
  const auto full = std::count(config.layer_kinds.begin(), config.layer_kinds.end(),
                               model::LayerKind::kFullAttention);
  return fmt::format(
      "{} layers ({} linear attention with {} heads of {}, {} full attention with {} heads of {} "
      "over {}), hidden {}, intermediate {}, vocabulary {}{}, context {}",
      config.layers(), config.layers() - full, config.v_heads, config.v_dim, full, config.q_heads,
      config.head_dim, config.kv_heads, config.hidden, config.intermediate, config.vocab,
      config.tied_head ? " (head tied)" : "", config.max_positions);
}

std::string drafter_words(const model::DrafterConfig& config) {
  return fmt::format(
      "DFlash drafter of {} layers ({} heads of {} over {}), hidden {}, intermediate {}, blocks of "
      "{}, reads layers {} of the target",
      config.layers.size(), config.q_heads, config.head_dim, config.kv_heads, config.hidden,
      config.intermediate, config.block, fmt::join(config.target_layers, ", "));
}

// A target that the drafter says it is for; of it the loader looks at no more.
model::ModelConfig stated_target(const model::DrafterConfig& drafter) {
  int32_t layers = std::max(drafter.stated_target_layers, 1);
  for (const int32_t layer : drafter.target_layers) layers = std::max(layers, layer + 1);
  if (drafter.stated_target_layers > 0) layers = drafter.stated_target_layers;
  model::ModelConfig target;
  target.hidden = drafter.hidden;
  target.vocab = drafter.vocab;
  target.layer_kinds.resize(static_cast<size_t>(layers), model::LayerKind::kFullAttention);
  return target;
}

Verdict judge_drafter(const std::filesystem::path& directory, const Json& config) {
  Verdict verdict;
  verdict.drafter = true;
  const Result<model::DrafterConfig> parsed = model::parse_drafter_config(config);
  if (!parsed.ok()) {
    verdict.load_error = (directory / "config.json").string() + ": " + parsed.error().message;
    return verdict;
  }
  verdict.shape = drafter_words(*parsed);
  const Result<model::LoadedDrafter> loaded =
      model::load_drafter(directory, stated_target(*parsed));
  if (loaded.ok()) {
    verdict.set_aside = loaded->set_aside;
  } else {
    verdict.load_error = loaded.error().message;
  }
  return verdict;
}

Verdict judge_target(const std::filesystem::path& directory, const Json& config) {
  Verdict verdict;
  const Result<model::ModelConfig> parsed = model::parse_model_config(config);
  if (parsed.ok()) verdict.shape = target_words(*parsed);
  const Result<model::LoadedModel> loaded = model::load_model(directory);
  if (loaded.ok()) {
    verdict.set_aside = loaded->set_aside;
  } else {
    verdict.load_error = loaded.error().message;
  }
  const Result<server::ChatModel> text = server::ChatModel::load(directory);
  if (!text.ok()) verdict.text_error = text.error().message;
  return verdict;
}

Json error_json(const std::optional<std::string>& error) {
  return error ? Json(*error) : Json(nullptr);
}

// A broken one counts: the text error says what is wrong with it.
bool has_chat_template(const std::filesystem::path& directory) {
  const Result<text::ChatTemplate> loaded = text::ChatTemplate::load(directory);
  return loaded.ok() || loaded.error().code != ErrorCode::kNotFound;
}

Json as_json(const InspectOptions& options, const Json& config,
             const model::CheckpointSummary& summary, const Verdict& verdict) {
  Json groups = Json::array();
  for (const model::ModuleGroup& group : summary.groups) {
    groups.push_back({{"kind", group.kind},
                      {"format", group.format},
                      {"count", group.count},
                      {"parameters", group.parameters},
                      {"bytes", group.bytes},
                      {"layers", group.layers},
                      {"pre_quant_scales", group.pre_quant_scales},
                      {"nan_scales", group.nan_scales}});
  }
  return {{"directory", options.directory.string()},
          {"role", verdict.drafter ? "drafter" : "target"},
          {"shape", verdict.shape},
          {"model_type", config.value("model_type", Json(nullptr))},
          {"quantization_config", config.value("quantization_config", Json(nullptr))},
          {"files", summary.files},
          {"tensors", summary.tensors},
          {"parameters", summary.parameters},
          {"bytes", summary.bytes},
          {"groups", std::move(groups)},
          {"pre_quant_scales", summary.pre_quant_scales},
          {"block_scales", summary.block_scales},
          {"nan_scales", summary.nan_scales},
          {"nan_tensors", summary.nan_tensors},
          {"set_aside", verdict.set_aside},
          {"tokenizer", file_exists(options.directory / "tokenizer.json")},
          {"chat_template", has_chat_template(options.directory)},
          {"load_error", error_json(verdict.load_error)},
          {"text_error", error_json(verdict.text_error)}};
}

// "0-2, 4".
std::string ranges_text(const std::set<int64_t>& numbers) {
  std::string text;
  for (auto next = numbers.begin(); next != numbers.end();) {
    const int64_t begin = *next;
    int64_t last = begin;
    for (++next; next != numbers.end() && *next == last + 1; ++next) last = *next;
    if (!text.empty()) text += ", ";
    text += last == begin ? fmt::format("{}", begin) : fmt::format("{}-{}", begin, last);
  }
  return text;
}

void print_groups(const model::CheckpointSummary& summary) {
  constexpr std::string_view kLine = "{:<20}{:<28}{:>7}{:>10}{:>8}{:>16}{:>13}  {}\n";
  std::cout << '\n'
            << fmt::format(kLine, "kind", "format", "count", "unfolded", "NaN", "parameters",
                           "size", "layers");
  for (const model::ModuleGroup& group : summary.groups) {
    std::cout << fmt::format(kLine, printable(group.kind), group.format, group.count,
                             group.pre_quant_scales, group.nan_scales, count_text(group.parameters),
                             bytes_text(group.bytes), ranges_text(group.layers));
  }
}

void print_scales(const model::CheckpointSummary& summary) {
  if (summary.pre_quant_scales > 0) {
    std::cout << fmt::format(
        "unfolded: {} linears with a pre_quant_scale, which multiplies their inputs\n",
        summary.pre_quant_scales);
  }
  if (summary.block_scales == 0) return;
  std::cout << fmt::format("block scales that are NaN: {} of {}{}\n", summary.nan_scales,
                           summary.block_scales,
                           summary.nan_scales > 0 ? " (their blocks count as zero), in" : "");
  for (const std::string& name : summary.nan_tensors) {
    std::cout << "  " << printable(name) << '\n';
  }
}

void print_summary(const InspectOptions& options, const model::CheckpointSummary& summary,
                   const Verdict& verdict) {
  std::cout << options.directory.string() << '\n';
  if (!verdict.shape.empty()) std::cout << verdict.shape << '\n';
  std::cout << fmt::format("{} parameters in {} tensors, {} in {} file{}\n",
                           count_text(summary.parameters), summary.tensors,
                           bytes_text(summary.bytes), summary.files, summary.files == 1 ? "" : "s");
  print_groups(summary);
  std::cout << '\n';
  print_scales(summary);
  if (!verdict.set_aside.empty()) {
    std::cout << fmt::format("set aside, not used: {} tensors, the first is {}\n",
                             verdict.set_aside.size(), printable(verdict.set_aside.front()));
  }
  const std::string role = verdict.drafter ? "as a drafter" : "as a model";
  std::cout << (verdict.load_error
                    ? fmt::format("cannot be loaded {}: {}\n", role, printable(*verdict.load_error))
                    : fmt::format("loads {}\n", role));
  if (verdict.drafter) return;
  std::cout << (verdict.text_error
                    ? "cannot chat, takes token ids only: " + printable(*verdict.text_error) + "\n"
                    : std::string("tokenizer and chat template are there\n"));
}

Result<void> run_inspect(const InspectOptions& options) {
  ASSIGN_OR_RETURN(const auto files, checkpoint::HfCheckpoint::open(options.directory));
  const Json& config = files.config();
  const model::CheckpointSummary summary = model::summarise(files);
  const Verdict verdict = config.contains("dflash_config")
                              ? judge_drafter(options.directory, config)
                              : judge_target(options.directory, config);
  if (options.json) {
    std::cout << dump_json(as_json(options, config, summary, verdict)) << '\n';
  } else {
    print_summary(options, summary, verdict);
  }
  return flush_output();
}

}  // namespace

void add_inspect_command(Command& root) {
  auto options = std::make_shared<InspectOptions>();
  Command command =
      root.command("inspect",
                   "What a checkpoint holds; whether it can be loaded stands in the output,"
                   " not in the exit code");
  const Option directory =
      command.option("directory", options->directory, "Checkpoint directory (required)");
  command.option("--model", options->directory, "The same").excludes(directory);
  command.flag("--json", options->json, "One JSON object");
  command.runs([options] { return report(run_inspect(*options)); },
               [options] {
                 if (options->directory.empty()) refuse_usage("directory", "is required");
               });
}

}  // namespace gallop::cli
