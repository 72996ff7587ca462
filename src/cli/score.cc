#include "cli/score.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
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

// A list of lists of ids inside the vocabulary, none empty.
Result<std::vector<std::vector<int32_t>>> read_lists(const std::filesystem::path& path,
                                                     int64_t vocab) {
  ASSIGN_OR_RETURN(const Json json, load_json_file(path));
  if (!json.is_array()) return Error{path.string() + ": must be a list of id lists"};
  std::vector<std::vector<int32_t>> lists;
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

// The tensors of one list, in the order they are written.
struct NamedRows {
  std::string name;
  const std::vector<float>* values;
  int64_t width;
};

std::vector<NamedRows> named_rows(const engine::Scores& scores, size_t index,
                                  const std::vector<int32_t>& layers,
                                  const model::ModelConfig& config) {
  std::vector<NamedRows> rows = {{fmt::format("logits.{}", index), &scores.logits, config.vocab}};
  for (size_t i = 0; i < layers.size(); ++i) {
    rows.push_back(
        {fmt::format("hidden.{}.{}", layers[i], index), &scores.hidden[i], config.hidden});
  }
  if (!scores.draft_hidden.empty()) {
    rows.push_back({fmt::format("draft.hidden.{}", index), &scores.draft_hidden, config.hidden});
    rows.push_back({fmt::format("draft.logits.{}", index), &scores.draft_logits, config.vocab});
  }
  return rows;
}

Result<void> write_scores(const ScoreOptions& options, const std::vector<engine::Scores>& all,
                          const model::ModelConfig& config) {
  std::vector<checkpoint::TensorData> tensors;
  for (size_t i = 0; i < all.size(); ++i) {
    for (const NamedRows& rows : named_rows(all[i], i, options.layers, config)) {
      const auto count = static_cast<int64_t>(rows.values->size()) / rows.width;
      tensors.push_back({.spec = {rows.name, DType::kF32, {count, rows.width}},
                         .bytes = {reinterpret_cast<const uint8_t*>(rows.values->data()),
                                   rows.values->size() * sizeof(float)}});
    }
  }
  return checkpoint::write_safetensors(options.out, tensors);
}

Result<void> check_layers(const std::vector<int32_t>& layers, int64_t count) {
  for (const int32_t layer : layers) {
    if (layer < 0 || layer >= count) {
      return Error{fmt::format("--layers: layers are in [0, {}), found {}", count, layer)};
    }
  }
  return {};
}

std::vector<int32_t> layers_value(const std::string& text) {
  std::vector<int32_t> layers = integer_list("--layers", text);
  if (std::set<int32_t>(layers.begin(), layers.end()).size() != layers.size()) {
    throw CLI::ValidationError("--layers", "a layer is named twice");
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
  ASSIGN_OR_RETURN(const auto lists, read_lists(options.tokens_file, target.config.vocab));
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
  std::vector<engine::Scores> all;
  for (const auto& ids : lists) {
    ASSIGN_OR_RETURN(engine::Scores scores, scorer->score(ids));
    all.push_back(std::move(scores));
  }
  return write_scores(options, all, target.config);
}

}  // namespace

void add_score_command(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<ScoreOptions>();
  CLI::App* command = app.add_subcommand("score", "Logits of given tokens, to safetensors");
  command->add_option("--model", options->model, "Checkpoint directory")->required();
  command->add_option("--drafter", options->drafter, "DFlash drafter directory");
  command->add_option("--tokens-file", options->tokens_file, "JSON: a list of id lists")
      ->required();
  command->add_option("--out", options->out, "The safetensors file to write")->required();
  command->add_option_function<std::string>(
      "--layers", [options](const std::string& text) { options->layers = layers_value(text); },
      "Layers whose residual stream is written: 0,3");
  command->add_option("--chunk", options->chunk, "Most tokens of a step; changes no bit")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--threads", options->threads, "Threads; changes no bit (all usable cores)")
      ->check(CLI::Range(1, 4096));
  command->callback(
      [&action, options] { action = [options] { return report(run_score(*options)); }; });
}

}  // namespace gallop::cli
