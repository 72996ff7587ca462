#include "cli/score.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "base/json.h"
#include "base/thread_pool.h"
#include "checkpoint/safetensors.h"
#include "cli/flag_values.h"
#include "cli/report.h"
#include "engine/scorer.h"
#include "model/weight_loader.h"
#include "ops/cpu/cpu_backend.h"

namespace gallop::cli {
namespace {

struct ScoreOptions {
  std::filesystem::path model;
  std::filesystem::path drafter;
  std::filesystem::path tokens_file;
  std::filesystem::path out;
  std::vector<int32_t> layers;
  int32_t chunk = 512;
  int32_t threads = 0;
};

using IdLists = std::vector<std::vector<int32_t>>;

// A list of lists of ids inside the vocabulary, none empty.
Result<IdLists> read_lists(const std::filesystem::path& path, int64_t vocab) {
  ASSIGN_OR_RETURN(const Json json, load_json_file(path));
  if (!json.is_array()) return Error{path.string() + ": must be a list of id lists"};
  IdLists lists;
  for (const Json& entry : json) {
    const std::string where = fmt::format("{}: list {}", path.string(), lists.size());
    if (!entry.is_array() || entry.empty()) return Error{where + " must be a non-empty id list"};
    std::vector<int32_t> ids;
    for (const Json& id : entry) {
      if (!id.is_number_integer() || id < 0 || id >= vocab) {
        return Error{fmt::format("{}: ids must be integers in [0, {}), found {}", where, vocab,
                                 dump_json(id))};
      }
      ids.push_back(id.get<int32_t>());
    }
    lists.push_back(std::move(ids));
  }
  return lists;
}

// The tensors of list `index`, which has so many tokens; `block` is 0 without a drafter. One order
// for this and for values_of().
std::vector<checkpoint::TensorSpec> specs_of(size_t index, int64_t tokens,
                                             const std::vector<int32_t>& layers, int64_t block,
                                             const model::ModelConfig& config) {
  std::vector<checkpoint::TensorSpec> specs;
  const auto add = [&specs](std::string name, int64_t rows, int64_t width) {
    specs.push_back({std::move(name), DType::kF32, {rows, width}});
  };
  add(fmt::format("logits.{}", index), tokens, config.vocab);
  for (const int32_t layer : layers) {
    add(fmt::format("hidden.{}.{}", layer, index), tokens, config.hidden);
  }
  if (block > 0 && tokens >= 2) {
    add(fmt::format("draft.hidden.{}", index), block, config.hidden);
    add(fmt::format("draft.logits.{}", index), block - 1, config.vocab);
  }
  return specs;
}

std::vector<std::span<const float>> values_of(const engine::Scores& scores) {
  std::vector<std::span<const float>> values = {scores.logits};
  values.insert(values.end(), scores.hidden.begin(), scores.hidden.end());
  if (!scores.draft_hidden.empty()) {
    values.emplace_back(scores.draft_hidden);
    values.emplace_back(scores.draft_logits);
  }
  return values;
}

// Scores one list after the other; only one list's are in memory.
Result<void> write_scores(const ScoreOptions& options, const IdLists& lists, int64_t block,
                          const model::ModelConfig& config, engine::Scorer& scorer) {
  std::vector<checkpoint::TensorSpec> all;
  const auto specs = [&](size_t index) {
    return specs_of(index, static_cast<int64_t>(lists[index].size()), options.layers, block,
                    config);
  };
  for (size_t i = 0; i < lists.size(); ++i) {
    for (checkpoint::TensorSpec& spec : specs(i)) all.push_back(std::move(spec));
  }
  ASSIGN_OR_RETURN(checkpoint::SafetensorsWriter writer,
                   checkpoint::SafetensorsWriter::create(options.out, std::move(all)));
  for (size_t i = 0; i < lists.size(); ++i) {
    ASSIGN_OR_RETURN(const engine::Scores scores, scorer.score(lists[i]));
    const std::vector<std::span<const float>> values = values_of(scores);
    const std::vector<checkpoint::TensorSpec> named = specs(i);
    for (size_t t = 0; t < named.size(); ++t) {
      RETURN_IF_ERROR(writer.append(named[t].name, values[t]));
    }
  }
  return writer.finish();
}

Result<void> check_layers(const std::vector<int32_t>& layers, int64_t count) {
  for (const int32_t layer : layers) {
    if (layer < 0 || layer >= count) {
      return Error{fmt::format("--layers: layers are in [0, {}), found {}", count, layer)};
    }
  }
  return {};
}

void check_usage(const ScoreOptions& options) {
  std::error_code ignored;
  if (std::filesystem::equivalent(options.tokens_file, options.out, ignored)) {
    refuse_usage("--out", "is the --tokens-file itself");
  }
}

std::vector<int32_t> layers_value(const std::string& text) {
  std::vector<int32_t> layers = integer_list("--layers", text);
  if (std::set<int32_t>(layers.begin(), layers.end()).size() != layers.size()) {
    refuse_usage("--layers", "a layer is named twice");
  }
  if (!layers.empty() && *std::min_element(layers.begin(), layers.end()) < 0) {
    refuse_usage("--layers", "a layer is negative");
  }
  return layers;
}

Result<void> run_score(const ScoreOptions& options) {
  ASSIGN_OR_RETURN(const model::LoadedModel target, model::load_model(options.model));
  std::unique_ptr<model::LoadedDrafter> drafter;
  if (!options.drafter.empty()) {
    ASSIGN_OR_RETURN(model::LoadedDrafter made,
                     model::load_drafter(options.drafter, target.config));
    drafter = std::make_unique<model::LoadedDrafter>(std::move(made));
  }
  RETURN_IF_ERROR(check_layers(options.layers, target.config.layers()));
  ASSIGN_OR_RETURN(const IdLists lists, read_lists(options.tokens_file, target.config.vocab));
  size_t longest = 1;
  for (const auto& ids : lists) longest = std::max(longest, ids.size());
  if (longest > static_cast<size_t>(target.config.max_positions)) {
    return Error{fmt::format("{}: a list of {} ids, the model's context is {}",
                             options.tokens_file.string(), longest, target.config.max_positions)};
  }
  const int32_t threads = options.threads > 0 ? options.threads : usable_cores();
  const std::unique_ptr<ops::Backend> backend = ops::make_cpu_backend(threads);
  ASSIGN_OR_RETURN(
      const std::unique_ptr<engine::Scorer> scorer,
      engine::Scorer::create(target, drafter.get(),
                             {.max_tokens = static_cast<int32_t>(longest),
                              .chunk = std::min(options.chunk, static_cast<int32_t>(longest)),
                              .layers = options.layers},
                             *backend));
  const int64_t block = drafter != nullptr ? drafter->config.block : 0;
  return write_scores(options, lists, block, target.config, *scorer);
}

}  // namespace

void add_score_command(Command& root) {
  auto options = std::make_shared<ScoreOptions>();
  Command command = root.command("score", "Logits of given tokens, to safetensors");
  command.option("--model", options->model, "Checkpoint directory").required();
  command.option("--drafter", options->drafter, "DFlash drafter directory");
  command.option("--tokens-file", options->tokens_file, "JSON: a list of id lists").required();
  command.option("--out", options->out, "The safetensors file to write").required();
  command.option(
      "--layers", [options](const std::string& text) { options->layers = layers_value(text); },
      "Layers whose residual stream is written: 0,3");
  command.option("--chunk", options->chunk, "Most tokens of a step; changes no bit")
      .range(1, 1 << 20);
  command.option("--threads", options->threads, "Threads; changes no bit (all usable cores)")
      .range(1, 4096);
  command.runs([options] { return report(run_score(*options)); },
               [options] { check_usage(*options); });
}

}  // namespace gallop::cli
