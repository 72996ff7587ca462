#include "cli/generate_flags.h"

#include <string>

#include "cli/flag_values.h"
#include "cli/generation_request.h"
#include "text/unicode.h"

namespace gallop::cli {
namespace {

void add_engine_flags(Command& command, GenerateOptions& options) {
  GeneratorOptions& generator = options.generator;
  command.option("--model", generator.model, "Checkpoint directory").required();
  command.option("--drafter", generator.drafter, "DFlash drafter directory");
  command.option("--threads", generator.threads, "Threads (default: the usable cores)")
      .range(1, 4096);
  command.option("--max-num-seqs", generator.max_num_seqs, "Requests that run together")
      .range(1, 1024);
  command.option("--chunk", generator.max_num_batched_tokens, "Most prompt tokens of a step")
      .range(1, 1 << 20);
  command
      .option("--max-model-len", generator.max_model_len,
              "Most tokens of prompt and answer together (default: the model's)")
      .range(2, 1 << 24);
  command.option(
      "--spec-tokens",
      [&options](const std::string& text) {
        const bool word = text == "off" || text == "auto";
        options.request["spec_tokens"] = word ? Json(text) : integer_value("--spec-tokens", text);
      },
      "Drafts per step: a number, off or auto (default: the drafter's block - 1)");
}

// Flags that are keys of a request: kept as JSON, so that flags and lines are read by one reader.
class RequestFlags {
 public:
  RequestFlags(Command& command, Json& request) : command_(command), request_(request) {}

  void text(const char* flag, const char* key, const char* help, auto read) {
    command_.option(
        flag,
        [&request = request_, flag, key, read](const std::string& text) {
          request[key] = read(flag, text);
        },
        help);
  }
  void number(const char* flag, const char* key, const char* help) {
    text(flag, key, help, number_value);
  }
  void integer(const char* flag, const char* key, const char* help) {
    text(flag, key, help, integer_value);
  }
  void json(const char* flag, const char* key, const char* help) {
    text(flag, key, help, [](const char* name, const std::string& value) {
      Result<Json> parsed = parse_json(value);
      if (!parsed.ok()) refuse_usage(name, parsed.error().message);
      return std::move(parsed).value();
    });
  }

 private:
  Command& command_;
  Json& request_;
};

Json prompt_value(const char* flag, const std::string& text) {
  if (!text::is_valid_utf8(text)) refuse_usage(flag, "must be UTF-8");
  return text;
}

void add_prompt_flags(Command& command, GenerateOptions& options) {
  RequestFlags flags(command, options.request);
  flags.text("--prompt", "prompt", "Raw text, no template", prompt_value);
  flags.text("--tokens", "tokens", "Prompt as token ids: 1,2,3", integer_list);
  command.option("--messages", options.messages, "JSON file: messages, or an object of them");
  command.option("--batch", options.batch, "JSON lines file: one request a line");
}

void add_sampling_flags(Command& command, GenerateOptions& options) {
  RequestFlags flags(command, options.request);
  flags.integer("--max-tokens", "max_tokens", "Most new tokens (default: to the context's end)");
  flags.integer("--min-tokens", "min_tokens", "No stop before so many new tokens");
  flags.number("--temperature", "temperature", "0: argmax (default: generation_config.json)");
  flags.number("--top-p", "top_p", "Nucleus mass in (0, 1]");
  flags.integer("--top-k", "top_k", "Most likely tokens kept; 0 or -1: all");
  flags.number("--min-p", "min_p", "Least probability relative to the best");
  flags.number("--presence-penalty", "presence_penalty", "Per token already generated");
  flags.number("--frequency-penalty", "frequency_penalty", "Per time a token was generated");
  flags.number("--repetition-penalty", "repetition_penalty", "Divides logits of seen tokens");
  flags.json("--logit-bias", "logit_bias", "JSON object of token id: number");
  flags.json("--stop", "stop", "JSON list of stop strings");
  flags.json("--stop-token-ids", "stop_token_ids", "JSON list of token ids that end the answer");
  flags.integer("--seed", "seed",
                "Noise of sampling; below 0: the unsigned number of its 64 bits "
                "(default: random, reported)");
  command.flag(
      "--ignore-eos", [&options] { options.request["ignore_eos"] = true; },
      "The model's own stop ids do not end the answer");
}

}  // namespace

void add_generate_flags(Command& command, GenerateOptions& options) {
  add_engine_flags(command, options);
  add_prompt_flags(command, options);
  add_sampling_flags(command, options);
  command.flag("--json", options.json, "Print one JSON object instead of the text");
}

void check_generate_flags(const Command& command, const GenerateOptions& options) {
  const size_t sources = command.count("--tokens") + command.count("--prompt") +
                         command.count("--messages") + command.count("--batch");
  if (sources != 1) {
    refuse_usage("generate", "exactly one of --prompt, --tokens, --messages, --batch is needed");
  }
  const Result<void> checked = check_request_options(options.request);
  if (!checked.ok()) refuse_usage("generate", checked.error().message);
}

}  // namespace gallop::cli
