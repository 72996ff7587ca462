#include "cli/make_model.h"

#include <cstdint>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "base/thread_pool.h"
#include "cli/numbers.h"
#include "cli/report.h"
#include "cli/units.h"
#include "model/random_checkpoint.h"
#include "model/shapes.h"

namespace gallop::cli {
namespace {

struct MakeModelOptions {
  std::filesystem::path directory;
  std::string shape;   // a name, or a config.json
  int32_t layers = 0;  // 0: the shape's
  model::RandomFormat format = model::RandomFormat::kBF16;
  std::filesystem::path drafter;  // empty: none
  uint64_t seed = 0;
  bool json = false;
};

bool is_file(const std::string& shape) { return shape.ends_with(".json"); }

// The shape's config.json, cut to the layers asked for.
Result<Json> read_shape(const MakeModelOptions& options) {
  Result<Json> config =
      is_file(options.shape) ? load_json_file(options.shape) : model::named_shape(options.shape);
  if (!config.ok()) return config;
  // The weights are made in another format than the file's.
  if (config->is_object()) config->erase("quantization_config");
  const auto named = [&](const Error& error) {
    return Error{options.shape + ": " + error.message, error.code, error.param};
  };
  const Result<model::ModelConfig> parsed = model::parse_model_config(*config);
  if (!parsed.ok()) return named(parsed.error());
  if (options.layers == 0) return config;
  Result<Json> cut = model::with_layers(std::move(config).value(), options.layers);
  return cut.ok() ? std::move(cut) : Result<Json>(named(cut.error()));
}

Json as_json(const std::filesystem::path& directory, const model::WrittenCheckpoint& written) {
  return {{"directory", directory.string()},
          {"tensors", written.tensors},
          {"parameters", written.parameters},
          {"bytes", written.bytes},
          {"shards", written.shards}};
}

std::string as_text(const std::filesystem::path& directory,
                    const model::WrittenCheckpoint& written) {
  return fmt::format("{}: {} parameters in {} tensors, {} in {} file{}\n", directory.string(),
                     count_text(written.parameters), written.tensors, bytes_text(written.bytes),
                     written.shards, written.shards == 1 ? "" : "s");
}

Result<void> run_make_model(const MakeModelOptions& options) {
  ASSIGN_OR_RETURN(const Json config, read_shape(options));
  ASSIGN_OR_RETURN(const model::NewDirectory directory,
                   model::NewDirectory::make(options.directory));
  std::optional<model::NewDirectory> drafter_directory;
  if (!options.drafter.empty()) {  // made before the target is written, which may take long
    ASSIGN_OR_RETURN(model::NewDirectory made, model::NewDirectory::make(options.drafter));
    drafter_directory.emplace(std::move(made));
  }
  const model::RandomCheckpointOptions random{
      .format = options.format, .seed = options.seed, .threads = usable_cores()};
  ASSIGN_OR_RETURN(const model::WrittenCheckpoint target,
                   model::write_random_model(directory, config, random));
  Json json = as_json(options.directory, target);
  json["seed"] = options.seed;
  std::string text = as_text(options.directory, target);
  if (drafter_directory) {
    ASSIGN_OR_RETURN(const model::ModelConfig parsed, model::parse_model_config(config));
    ASSIGN_OR_RETURN(
        const model::WrittenCheckpoint drafter,
        model::write_random_drafter(*drafter_directory, model::drafter_shape(parsed), random));
    json["drafter"] = as_json(options.drafter, drafter);
    text += as_text(options.drafter, drafter);
  }
  std::cout << (options.json ? dump_json(json) + "\n" : text);
  return flush_output();
}

// "/a/b/", whether or not it exists.
std::string place_of(const std::filesystem::path& directory) {
  std::error_code ignored;
  const std::filesystem::path absolute = std::filesystem::absolute(directory, ignored);
  return (std::filesystem::weakly_canonical(absolute, ignored) / "").string();
}

void check_usage(const MakeModelOptions& options) {
  if (!is_file(options.shape)) {
    const Result<Json> named = model::named_shape(options.shape);
    if (!named.ok()) refuse_usage("--shape", named.error().message);
  }
  if (options.drafter.empty()) return;
  if (place_of(options.directory).starts_with(place_of(options.drafter))) {
    refuse_usage("--drafter", "needs a directory of its own, not the model's or one around it");
  }
}

uint64_t seed_value(const std::string& text) {
  const auto seed = whole_number<uint64_t>(text);
  if (!seed) refuse_usage("--seed", "must be an integer in [0, 2^64), found '" + text + "'");
  return *seed;
}

}  // namespace

void add_make_model_command(Command& root) {
  auto options = std::make_shared<MakeModelOptions>();
  Command command = root.command("make-model", "Write a random checkpoint of any shape");
  command.option("directory", options->directory, "Directory to write: new or empty").required();
  command
      .option("--shape", options->shape,
              "qwen3.5-27b, qwen3.5-tiny, or the config.json of a model of the family")
      .required();
  command
      .option("--layers", options->layers,
              "Layers instead of the shape's: its last ones, repeated where there are more")
      .range(1, 1024);
  static const std::map<std::string, model::RandomFormat> kFormats = {
      {"bf16", model::RandomFormat::kBF16}, {"nvfp4", model::RandomFormat::kNvfp4}};
  command
      .option(
          "--format", [options](const std::string& text) { options->format = kFormats.at(text); },
          "bf16 (default), or nvfp4: linears packed as ModelOpt writes them")
      .one_of({"bf16", "nvfp4"});
  command.option("--drafter", options->drafter,
                 "Directory for a DFlash drafter of this model: new or empty");
  command
      .option(
          "--seed", [options](const std::string& text) { options->seed = seed_value(text); },
          "Same seed, same bytes")
      .required();
  command.flag("--json", options->json, "One JSON object");
  command.runs([options] { return report(run_make_model(*options)); },
               [options] { check_usage(*options); });
}

}  // namespace gallop::cli
