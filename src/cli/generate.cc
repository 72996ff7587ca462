#include "cli/generate.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/generation_request.h"
#include "cli/generation_run.h"
#include "cli/open_generator.h"
#include "cli/report.h"
#include "model/generation_config.h"
#include "model/weight_loader.h"

namespace gallop::cli {
namespace {

// The largest batch file; a line is a request.
constexpr size_t kMaxBatchBytes = size_t{1} << 30;

struct GenerateOptions {
  GeneratorOptions generator;
  std::filesystem::path batch;
  std::filesystem::path messages;
  Json request = Json::object();  // what the flags said, as the keys of a batch line
  bool json = false;
};

struct Session {
  std::optional<text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat_template;
  model::GenerationDefaults defaults;
  std::unique_ptr<engine::Generator> generator;  // last: its thread ends first
  double load_ms = 0;

  TextTools tools() const {
    return {.tokenizer = tokenizer ? &*tokenizer : nullptr,
            .chat_template = chat_template ? &*chat_template : nullptr};
  }
};

// A directory without tokenizer files can still be run by ids.
Result<void> load_text(const std::filesystem::path& directory, Session& session) {
  if (std::filesystem::exists(directory / "tokenizer.json")) {
    ASSIGN_OR_RETURN(session.tokenizer, text::Tokenizer::load(directory));
  }
  Result<text::ChatTemplate> chat_template = text::ChatTemplate::load(directory);
  if (chat_template.ok()) {
    session.chat_template = std::move(chat_template).value();
  } else if (chat_template.error().code != ErrorCode::kNotFound) {
    return chat_template.error();
  }
  return {};
}

Result<Session> open_session(const GenerateOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  Session session;
  RETURN_IF_ERROR(load_text(options.generator.model, session));
  GeneratorOptions generator = options.generator;
  if (session.tokenizer) generator.vocab_limit = session.tokenizer->vocab_limit();
  ASSIGN_OR_RETURN(session.generator, open_generator(generator));
  ASSIGN_OR_RETURN(const Json config, checkpoint::load_config_json(options.generator.model));
  ASSIGN_OR_RETURN(const model::ModelConfig parsed, model::parse_model_config(config));
  ASSIGN_OR_RETURN(session.defaults,
                   model::load_generation_defaults(options.generator.model, parsed));
  session.load_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return session;
}

Result<std::unique_ptr<GenerationRun>> start_run(Session& session, const Json& request) {
  ASSIGN_OR_RETURN(GenerationRequest parsed,
                   parse_generation_request(request, session.defaults,
                                            session.generator->max_drafts(), session.tools()));
  return GenerationRun::start(*session.generator, std::move(parsed), session.tools().tokenizer,
                              session.defaults.stop_ids);
}

Result<Json> finished(const Session& session, GenerationRun& run) {
  run.wait();
  ASSIGN_OR_RETURN(Json json, run.json());
  json["timings"]["load_ms"] = session.load_ms;
  return json;
}

Result<void> run_single(const GenerateOptions& options) {
  Json request = options.request;
  if (!options.messages.empty()) {
    ASSIGN_OR_RETURN(request["messages"], load_json_file(options.messages));
  }
  ASSIGN_OR_RETURN(Session session, open_session(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<GenerationRun> run, start_run(session, request));
  ASSIGN_OR_RETURN(const Json json, finished(session, *run));
  std::cout << (options.json ? dump_json(json) : run->text()) << '\n';
  return {};
}

// The line's keys over the flags'; a line's prompt replaces the flags' whatever its kind.
Result<Json> merged_line(const std::string& line, const Json& flags) {
  ASSIGN_OR_RETURN(const Json json, parse_json(line));
  if (!json.is_object()) return Error{"a line must be a JSON object"};
  Json merged = flags;
  for (const auto& [key, value] : json.items()) merged[key] = value;
  return merged;
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.find_first_not_of(" \t\r") != std::string::npos) lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

// All lines are submitted at once; the engine runs as many together as it may.
Result<void> run_batch(const GenerateOptions& options) {
  ASSIGN_OR_RETURN(const std::string text, read_file(options.batch, kMaxBatchBytes));
  const std::vector<std::string> lines = split_lines(text);
  ASSIGN_OR_RETURN(Session session, open_session(options));
  std::vector<Result<std::unique_ptr<GenerationRun>>> runs;
  for (const std::string& line : lines) {
    const Result<Json> request = merged_line(line, options.request);
    if (request.ok()) {
      runs.push_back(start_run(session, *request));
    } else {
      runs.emplace_back(request.error());
    }
  }
  size_t failed = 0;
  for (auto& run : runs) {
    const Result<Json> json = run.ok() ? finished(session, **run) : Result<Json>(run.error());
    failed += json.ok() ? 0 : 1;
    std::cout << dump_json(json.ok() ? *json : Json{{"error", json.error().message}}) << '\n';
  }
  std::cout.flush();
  if (failed > 0) {
    return Error{
        fmt::format("{}: {} of {} lines failed", options.batch.string(), failed, lines.size())};
  }
  return {};
}

// Flags that are keys of a request: kept as JSON, so that flags and lines are read by one reader.
void add_request_flags(CLI::App& command, GenerateOptions& options) {
  Json& request = options.request;
  const auto number = [&](const char* flag, const char* key, const char* help) {
    command.add_option_function<double>(
        flag, [&request, key](const double& value) { request[key] = value; }, help);
  };
  const auto integer = [&](const char* flag, const char* key, const char* help) {
    command.add_option_function<int64_t>(
        flag, [&request, key](const int64_t& value) { request[key] = value; }, help);
  };
  const auto json = [&](const char* flag, const char* key, const char* help) {
    command.add_option_function<std::string>(
        flag,
        [&request, key, flag](const std::string& text) {
          Result<Json> value = parse_json(text);
          if (!value.ok()) throw CLI::ValidationError(flag, value.error().message);
          request[key] = std::move(value).value();
        },
        help);
  };
  command.add_option_function<std::string>(
      "--prompt", [&request](const std::string& text) { request["prompt"] = text; },
      "Raw text, no template");
  command
      .add_option_function<std::vector<int32_t>>(
          "--tokens", [&request](const std::vector<int32_t>& ids) { request["tokens"] = ids; },
          "Prompt as token ids: 1,2,3")
      ->delimiter(',');
  integer("--max-tokens", "max_tokens", "Most new tokens (default: to the context's end)");
  integer("--min-tokens", "min_tokens", "No stop before so many new tokens");
  number("--temperature", "temperature", "0: argmax (default: generation_config.json)");
  number("--top-p", "top_p", "Nucleus mass in (0, 1]");
  integer("--top-k", "top_k", "Most likely tokens kept; 0 or -1: all");
  number("--min-p", "min_p", "Least probability relative to the best");
  number("--presence-penalty", "presence_penalty", "Per token already generated");
  number("--frequency-penalty", "frequency_penalty", "Per time a token was generated");
  number("--repetition-penalty", "repetition_penalty", "Divides logits of seen tokens");
  json("--logit-bias", "logit_bias", "JSON object of token id: number");
  json("--stop", "stop", "JSON list of stop strings");
  json("--stop-token-ids", "stop_token_ids", "JSON list of token ids that end the answer");
  command.add_option_function<uint64_t>(
      "--seed", [&request](const uint64_t& value) { request["seed"] = value; },
      "Noise of sampling (default: random, reported)");
  command.add_flag_callback(
      "--ignore-eos", [&request] { request["ignore_eos"] = true; },
      "The model's own stop ids do not end the answer");
}

// Drafts beyond the drafter's block are wrong usage, which only the drafter's config can tell.
Result<bool> spec_tokens_fit(const GenerateOptions& options) {
  const auto asked = options.request.find("spec_tokens");
  if (asked == options.request.end() || !asked->is_number()) return true;
  if (options.generator.drafter.empty()) return *asked == 0;
  ASSIGN_OR_RETURN(const Json json, checkpoint::load_config_json(options.generator.drafter));
  ASSIGN_OR_RETURN(const model::DrafterConfig config, model::parse_drafter_config(json));
  return *asked < config.block;
}

int run_generate(const GenerateOptions& options) {
  const Result<bool> fits = spec_tokens_fit(options);
  if (!fits.ok()) return report(fits.error());
  if (!*fits) {
    std::fprintf(stderr, "gallop: --spec-tokens: more than the drafter's block allows\n");
    return 2;
  }
  return report(options.batch.empty() ? run_single(options) : run_batch(options));
}

void add_engine_flags(CLI::App& command, GenerateOptions& options) {
  GeneratorOptions& generator = options.generator;
  command.add_option("--model", generator.model, "Checkpoint directory")->required();
  command.add_option("--drafter", generator.drafter, "DFlash drafter directory");
  command.add_option("--threads", generator.threads, "Threads (default: the usable cores)")
      ->check(CLI::Range(1, 4096));
  command.add_option("--max-num-seqs", generator.max_num_seqs, "Requests that run together")
      ->check(CLI::Range(1, 1024));
  command.add_option("--chunk", generator.max_num_batched_tokens, "Most prompt tokens of a step")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--max-model-len", generator.max_model_len, "Prompt and answer together");
  command.add_option_function<std::string>(
      "--spec-tokens",
      [&options](const std::string& text) {
        const bool word = text == "off" || text == "auto";
        if (!word && text.find_first_not_of("0123456789") != std::string::npos) {
          throw CLI::ValidationError("--spec-tokens", "must be a number, off or auto");
        }
        options.request["spec_tokens"] = word ? Json(text) : Json(std::stol(text.substr(0, 9)));
      },
      "Drafts per step: a number, off or auto (default: the drafter's block - 1)");
}

}  // namespace

void add_generate_command(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = app.add_subcommand("generate", "Answer one request or a batch of them");
  add_engine_flags(*command, *options);
  add_request_flags(*command, *options);
  command->add_option("--messages", options->messages, "JSON file: messages, or an object of them");
  command->add_option("--batch", options->batch, "JSON lines file: one request a line");
  command->add_flag("--json", options->json, "Print one JSON object instead of the text");
  command->callback([&action, options, command] {
    const bool tokens = options->request.contains("tokens");
    const bool prompt = options->request.contains("prompt");
    const size_t sources = static_cast<size_t>(tokens) + static_cast<size_t>(prompt) +
                           command->count("--messages") + command->count("--batch");
    if (sources != 1) {
      throw CLI::ValidationError(
          "generate", "exactly one of --prompt, --tokens, --messages, --batch is needed");
    }
    action = [options] { return run_generate(*options); };
  });
}

}  // namespace gallop::cli
