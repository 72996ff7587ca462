#include "cli/serve.h"

#include <arpa/inet.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/json.h"
#include "base/log.h"
#include "cli/environment.h"
#include "cli/numbers.h"
#include "cli/open_generator.h"
#include "cli/report.h"
#include "server/api_server.h"

namespace gallop::cli {
namespace {

// What --speculative-config asks for: the number of drafts, and a drafter where --drafter names
// none.
struct Speculation {
  std::string method = "dflash";
  std::optional<int32_t> drafts;
  std::string drafter;
};

struct ServeOptions {
  GeneratorOptions generator;
  server::ApiServerOptions server;
  Speculation speculation;
  double shutdown_timeout_s = 0;
  LogLevel log_level = LogLevel::kInfo;
};

// `config` is the value of --speculative-config; errors name the key.
Result<Speculation> parse_speculation(const Json& config) {
  constexpr int64_t kMost = 1 << 20;  // clamped to the drafter's block later
  if (!config.is_object()) return Error{"must be a JSON object"};
  Speculation speculation;
  for (const auto& item : config.items()) {
    const std::string& key = item.key();
    const Json& value = item.value();
    const auto wrong = [&](std::string_view rule) {
      return Error{fmt::format("{} must be {}, found {}", key, rule, dump_json(value))};
    };
    if (key == "method") {
      if (!value.is_string()) return wrong("a name");
      speculation.method = value.get<std::string>();
    } else if (key == "num_speculative_tokens") {
      const std::optional<int64_t> number = json_integer(value);
      if (!number || *number < 0 || *number > kMost) {
        return wrong(fmt::format("a number in [0, {}]", kMost));
      }
      speculation.drafts = static_cast<int32_t>(*number);
    } else if (key == "model") {
      if (!value.is_string()) return wrong("a directory");
      speculation.drafter = value.get<std::string>();
    } else if (key == "adaptive") {
      // true asks for a choice of the block length, which this version does not make.
      if (value != false) return wrong("false");
    } else {
      return Error{"unknown key " + key};
    }
  }
  return speculation;
}

Speculation speculation_value(const std::string& text) {
  const Result<Json> config = parse_json(text);
  if (!config.ok()) refuse_usage("--speculative-config", config.error().message);
  Result<Speculation> speculation = parse_speculation(*config);
  if (!speculation.ok()) {
    refuse_usage("--speculative-config", speculation.error().message);
  }
  return std::move(speculation).value();
}

int32_t choose_drafts(const Speculation& speculation, bool has_drafter, int32_t most) {
  const int32_t asked = speculation.drafts.value_or(most);
  if (asked > 0 && !has_drafter) {
    log_warning("num_speculative_tokens needs a --drafter: nothing is drafted");
  } else if (asked > most) {
    log_warning(fmt::format(
        "num_speculative_tokens {} is more than the drafter allows: {} are used", asked, most));
  }
  return std::min(asked, most);
}

// Each connection takes a descriptor, and the usual soft limit is as small as the connection limit.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log_warning("the limit of open files stays low");
}

bool is_loopback(const std::string& host) {
  in_addr address{};
  const bool ipv4 = ::inet_pton(AF_INET, host.c_str(), &address) == 1;
  return host == "localhost" || host == "::1" || (ipv4 && ntohl(address.s_addr) >> 24 == 127);
}

std::string url_of(const server::ApiServerOptions& options, uint16_t port) {
  const bool ipv6 = options.host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}", ipv6 ? "[" : "", options.host, ipv6 ? "]" : "", port);
}

Result<void> serve(ServeOptions options) {
  if (options.speculation.method != "dflash") {
    return Error{fmt::format("--speculative-config: method {} is not supported; dflash is",
                             options.speculation.method)};
  }
  const std::filesystem::path& directory = options.generator.model;
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory, ignored)) {
    return Error{directory.string() + ": is not a directory with a model"};
  }
  ASSIGN_OR_RETURN(const server::ChatModel model, server::ChatModel::load(directory));
  options.generator.vocab_limit = model.tokenizer.vocab_limit();
  if (options.generator.drafter.empty()) {
    options.generator.drafter = options.speculation.drafter;
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<engine::Generator> generator,
                   open_generator(options.generator));
  options.server.drafts = choose_drafts(options.speculation, !options.generator.drafter.empty(),
                                        generator->max_drafts());
  options.server.model_root = directory.string();
  if (options.server.model_names.empty()) options.server.model_names = {directory.string()};
  if (options.server.api_keys.empty()) {
    if (std::string key = environment_api_key(); !key.empty()) options.server.api_keys = {key};
  }
  if (!is_loopback(options.server.host) && options.server.api_keys.empty()) {
    log_warning(fmt::format("{} can be reached from other machines and there is no --api-key",
                            options.server.host));
  }
  raise_file_limit();
  ASSIGN_OR_RETURN(const std::unique_ptr<server::ApiServer> server,
                   server::ApiServer::listen(options.server, model, *generator));
  server->handle_signals();
  std::cout << "listening on " << url_of(options.server, server->port()) << '\n';
  RETURN_IF_ERROR(flush_output());  // whoever started this waits for the line
  server->run();
  return {};
}

int run_serve(ServeOptions options) {
  set_log_level(options.log_level);
  options.server.shutdown_timeout =
      std::chrono::milliseconds(static_cast<int64_t>(options.shutdown_timeout_s * 1000));
  return report(serve(std::move(options)));
}

void add_model_options(Command& command, ServeOptions& options) {
  GeneratorOptions& generator = options.generator;
  command.option("model,--model,--model-path", generator.model, "Model directory").required();
  command.option("--drafter", generator.drafter, "Directory of the model's DFlash drafter");
  command
      .option("--max-model-len", generator.max_model_len,
              "Most tokens of a prompt and its answer together (default: the model's)")
      .range(2, 1 << 24);
  command.option("--max-num-seqs", generator.max_num_seqs, "Requests that run at the same time")
      .range(1, 1024)
      .show_default();
  command.option("--threads", generator.threads, "CPU threads (default: the usable cores)")
      .range(1, 4096);
  command.option(
      "--speculative-config",
      [&options](const std::string& text) { options.speculation = speculation_value(text); },
      R"(JSON, e.g. {"method":"dflash","num_speculative_tokens":7}; 0 tokens: off)");
}

void add_server_options(Command& command, ServeOptions& options) {
  const auto seconds = [](const std::string& text) -> std::string {
    const std::optional<double> value = finite_number(text);
    return value && *value >= 0 && *value <= 86400 ? "" : "must be a number in [0, 86400]";
  };
  server::ApiServerOptions& server = options.server;
  command.option("--host", server.host, "Address to listen on").show_default();
  command.option("--port", server.port, "Port to listen on; 0: any free one")
      .range(0, 65535)
      .show_default();
  // Both take several values, so an empty one ("--api-key=$UNSET") would take the flags behind it.
  const auto word = [](const std::string& text) {
    return text.empty() || text.starts_with("--") ? "expected a value, found '" + text + "'"
                                                  : std::string();
  };
  command
      .option("--served-model-name", server.model_names,
              "Names that requests may use (default: MODEL); the first one is in replies")
      .check(word, "TEXT");
  command
      .option("--api-key", server.api_keys,
              "Keys of which requests below /v1 must carry one (default: VLLM_API_KEY)")
      .check(word, "TEXT");
  command
      .option("--shutdown-timeout", options.shutdown_timeout_s,
              "Seconds that running requests may take to finish after SIGTERM")
      .check(seconds, "SECONDS")
      .show_default();
  static const std::map<std::string, LogLevel> kLevels = {{"debug", LogLevel::kDebug},
                                                          {"info", LogLevel::kInfo},
                                                          {"warning", LogLevel::kWarning},
                                                          {"error", LogLevel::kError}};
  command
      .option(
          "--log-level",
          [&options](const std::string& text) { options.log_level = kLevels.at(text); },
          "Least important lines on stderr (default: info)")
      .one_of_any_case({"debug", "info", "warning", "error"});
}

}  // namespace

void add_serve_command(Command& root) {
  const auto options = std::make_shared<ServeOptions>();
  Command command = root.command("serve", "Serve a model over an OpenAI-compatible HTTP API");
  add_model_options(command, *options);
  add_server_options(command, *options);
  command.runs([options] { return run_serve(*options); });
}

}  // namespace gallop::cli
