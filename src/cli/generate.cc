#include "cli/generate.h"

#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/generate_flags.h"
#include "cli/generation_request.h"
#include "cli/generation_run.h"
#include "cli/open_generator.h"
#include "cli/report.h"
#include "model/weight_loader.h"
#include "server/sampling_defaults.h"

namespace gallop::cli {
namespace {

// The largest batch file; a line is a request.
constexpr size_t kMaxBatchBytes = size_t{1} << 30;
// Requests of a batch that wait in the engine behind those that run; less than its queue takes.
constexpr size_t kMaxWaiting = 512;

struct Session {
  std::optional<text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat_template;
  server::SamplingDefaults defaults;
  std::unique_ptr<engine::Generator> generator;  // last: its thread ends first
  double load_ms = 0;

  TextTools tools() const {
    return {.tokenizer = tokenizer ? &*tokenizer : nullptr,
            .chat_template = chat_template ? &*chat_template : nullptr};
  }
};

// A directory without tokenizer files can still be run by ids.
Result<void> load_text(const std::filesystem::path& directory, Session& session) {
  if (file_exists(directory / "tokenizer.json")) {
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
  ASSIGN_OR_RETURN(session.defaults, server::load_sampling_defaults(options.generator.model));
  GeneratorOptions generator = options.generator;
  if (session.tokenizer) generator.vocab_limit = session.tokenizer->vocab_limit();
  ASSIGN_OR_RETURN(session.generator, open_generator(generator));
  session.load_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return session;
}

Result<std::unique_ptr<GenerationRun>> start_run(Session& session, const Json& request) {
  ASSIGN_OR_RETURN(GenerationRequest parsed,
                   parse_generation_request(request, session.defaults,
                                            session.generator->max_drafts(), session.tools()));
  return GenerationRun::start(*session.generator, std::move(parsed), session.tools().tokenizer);
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
  const Result<std::unique_ptr<GenerationRun>> run = start_run(session, request);
  if (!run.ok() && !options.messages.empty()) {
    return Error{options.messages.string() + ": " + run.error().message};
  }
  if (!run.ok()) return run.error();
  ASSIGN_OR_RETURN(const Json json, finished(session, **run));
  std::cout << (options.json ? dump_json(json) : (*run)->text()) << '\n';
  return flush_output();
}

// The line's keys over the flags'.
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
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

using PendingRun = Result<std::unique_ptr<GenerationRun>>;

PendingRun start_line(Session& session, const std::string& line, const Json& flags) {
  ASSIGN_OR_RETURN(const Json request, merged_line(line, flags));
  return start_run(session, request);
}

// Prints the answer, or the error in its place; false for an error.
bool print_line(const Session& session, const PendingRun& run) {
  const Result<Json> json = run.ok() ? finished(session, **run) : Result<Json>(run.error());
  std::cout << dump_json(json.ok() ? *json : Json{{"error", json.error().message}}) << '\n';
  std::cout.flush();  // an answer may be read before the next one is there
  return json.ok();
}

// Lines are submitted ahead of the one that is printed next, so that the engine runs as many
// together as it may. Nobody left to read the answers: the rest is not run.
Result<void> run_batch(const GenerateOptions& options) {
  ASSIGN_OR_RETURN(const std::string text, read_file(options.batch, kMaxBatchBytes));
  const std::vector<std::string> lines = split_lines(text);
  ASSIGN_OR_RETURN(Session session, open_session(options));
  const size_t window = static_cast<size_t>(options.generator.max_num_seqs) + kMaxWaiting;
  std::deque<PendingRun> pending;
  std::vector<size_t> failed;
  for (size_t next = 0, printed = 0; printed < lines.size() && std::cout; ++printed) {
    for (; next < lines.size() && pending.size() < window; ++next) {
      pending.push_back(start_line(session, lines[next], options.request));
    }
    if (!print_line(session, pending.front())) failed.push_back(printed + 1);
    pending.pop_front();
  }
  for (const PendingRun& run : pending) {
    if (run.ok()) (*run)->cancel();
  }
  RETURN_IF_ERROR(flush_output());
  return failed_lines(options.batch.string(), failed, lines.size());
}

// Drafts beyond the drafter's block are wrong usage, which only the drafter's config can tell.
Result<bool> spec_tokens_fit(const GenerateOptions& options) {
  const auto asked = options.request.find("spec_tokens");
  if (asked == options.request.end() || !asked->is_number()) return true;
  if (options.generator.drafter.empty()) return *asked == 0;
  ASSIGN_OR_RETURN(const int32_t block, drafter_block(options.generator.drafter));
  return *asked < block;
}

int run_generate(const GenerateOptions& options) {
  const Result<bool> fits = spec_tokens_fit(options);
  if (!fits.ok()) return report(fits.error());
  if (!*fits) {
    std::fprintf(stderr, "gallop: --spec-tokens: %s\n",
                 options.generator.drafter.empty() ? "drafts need a --drafter"
                                                   : "more than the drafter's block allows");
    return 2;
  }
  return report(options.batch.empty() ? run_single(options) : run_batch(options));
}

}  // namespace

void add_generate_command(Command& root) {
  auto options = std::make_shared<GenerateOptions>();
  Command command = root.command("generate", "Answer one request or a batch of them");
  add_generate_flags(command, *options);
  command.runs([options] { return run_generate(*options); },
               [options, command] { check_generate_flags(command, *options); });
}

}  // namespace gallop::cli
