#include "cli/generation_request.h"

#include <array>
#include <charconv>
#include <limits>
#include <random>
#include <string_view>

#include <fmt/format.h>

#include "base/json.h"
#include "engine/request_check.h"

namespace gallop::cli {
namespace {

constexpr std::array<std::string_view, 20> kKeys = {"tokens",
                                                    "prompt",
                                                    "messages",
                                                    "max_tokens",
                                                    "temperature",
                                                    "top_p",
                                                    "top_k",
                                                    "min_p",
                                                    "seed",
                                                    "spec_tokens",
                                                    "ignore_eos",
                                                    "presence_penalty",
                                                    "stop",
                                                    "stop_token_ids",
                                                    "frequency_penalty",
                                                    "repetition_penalty",
                                                    "logit_bias",
                                                    "min_tokens",
                                                    "tools",
                                                    "chat_template_kwargs"};

// Token ids are below 2^24 in every checkpoint that loads.
constexpr int32_t kMaxTokenIds = 1 << 24;

Error wrong(std::string_view key, std::string_view rule, const Json& found) {
  return Error{fmt::format("{} must be {}, found {}", key, rule, dump_json(found)),
               ErrorCode::kInvalidInput, std::string(key)};
}

// Leaves `out` alone when the key is absent.
Result<void> read_number(const Json& json, const char* key, float& out) {
  const auto entry = json.find(key);
  if (entry == json.end()) return {};
  if (!entry->is_number()) return wrong(key, "a number", *entry);
  out = entry->get<float>();
  return {};
}

Result<void> read_integer(const Json& json, const char* key, int32_t& out) {
  const auto entry = json.find(key);
  if (entry == json.end()) return {};
  const std::optional<int64_t> value = json_integer(*entry);
  if (!value || *value < std::numeric_limits<int32_t>::min() ||
      *value > std::numeric_limits<int32_t>::max()) {
    return wrong(key, "a 32-bit integer", *entry);
  }
  out = static_cast<int32_t>(*value);
  return {};
}

// A negative seed is the unsigned number of the same bits.
Result<void> read_seed(const Json& json, uint64_t& out) {
  const auto entry = json.find("seed");
  if (entry == json.end()) return {};
  if (!entry->is_number_integer()) return wrong("seed", "an integer", *entry);
  out = entry->get<uint64_t>();
  return {};
}

Result<std::vector<int32_t>> id_list(std::string_view key, const Json& json) {
  if (!json.is_array()) return wrong(key, "a list of token ids", json);
  std::vector<int32_t> ids;
  for (const Json& id : json) {
    if (!id.is_number_integer() || id < 0 || id >= kMaxTokenIds) {
      return wrong(key, fmt::format("a list of token ids in [0, {})", kMaxTokenIds), id);
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

Result<std::vector<std::string>> stop_strings(const Json& json) {
  const Json list = json.is_string() ? Json::array({json}) : json;
  if (!list.is_array()) return wrong("stop", "a string or a list of strings", json);
  std::vector<std::string> stops;
  for (const Json& stop : list) {
    if (!stop.is_string() || stop.get_ref<const std::string&>().empty()) {
      return wrong("stop", "a list of non-empty strings", stop);
    }
    stops.push_back(stop.get<std::string>());
  }
  return stops;
}

Result<std::vector<std::pair<int32_t, float>>> logit_bias(const Json& json) {
  if (!json.is_object()) return wrong("logit_bias", "an object of token id: number", json);
  std::vector<std::pair<int32_t, float>> biases;
  for (const auto& [name, bias] : json.items()) {
    int32_t id = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data(), end, id);
    if (parsed.ec != std::errc() || parsed.ptr != end || !bias.is_number()) {
      return wrong("logit_bias", "an object of token id: number", Json{{name, bias}});
    }
    biases.emplace_back(id, std::clamp(bias.get<float>(), -engine::kMaxBias, engine::kMaxBias));
  }
  return biases;
}

Result<std::string> render(const Json& json, const text::ChatTemplate& chat_template) {
  text::ChatInput input;
  const Json& messages = json["messages"];
  const Json& holder = messages.is_object() ? messages : json;
  if (!holder.contains("messages") || !holder["messages"].is_array()) {
    return wrong("messages", "a list, or an object that holds one", messages);
  }
  input.messages = holder["messages"];
  if (holder.contains("tools")) input.tools = holder["tools"];
  if (holder.contains("chat_template_kwargs")) input.kwargs = holder["chat_template_kwargs"];
  return chat_template.render(input);
}

Result<std::vector<int32_t>> prompt_ids(const Json& json, const TextTools& tools) {
  if (json.contains("tokens") + json.contains("prompt") + json.contains("messages") != 1) {
    return Error{"exactly one of tokens, prompt and messages is needed"};
  }
  if (json.contains("tokens")) return id_list("tokens", json["tokens"]);
  if (tools.tokenizer == nullptr) return Error{"the model's directory has no tokenizer.json"};
  if (json.contains("prompt")) {
    if (!json["prompt"].is_string()) return wrong("prompt", "a string", json["prompt"]);
    return tools.tokenizer->encode(json["prompt"].get_ref<const std::string&>(), true);
  }
  if (tools.chat_template == nullptr) return Error{"the model's directory has no chat template"};
  ASSIGN_OR_RETURN(const std::string prompt, render(json, *tools.chat_template));
  return tools.tokenizer->encode(prompt, false);
}

Result<int32_t> draft_count(const Json& json, int32_t max_drafts) {
  const auto entry = json.find("spec_tokens");
  if (entry == json.end() || *entry == "auto") return max_drafts;
  if (*entry == "off") return 0;
  if (!entry->is_number_integer() || *entry < 0 || *entry > max_drafts) {
    return wrong("spec_tokens", fmt::format("\"off\", \"auto\" or a number in [0, {}]", max_drafts),
                 *entry);
  }
  return entry->get<int32_t>();
}

Result<engine::SamplingParams> sampling(const Json& json,
                                        const server::SamplingDefaults& defaults) {
  engine::SamplingParams params{.temperature = defaults.temperature,
                                .top_k = defaults.top_k,
                                .top_p = defaults.top_p,
                                .min_p = defaults.min_p,
                                .presence_penalty = defaults.presence_penalty,
                                .frequency_penalty = defaults.frequency_penalty,
                                .repetition_penalty = defaults.repetition_penalty,
                                .seed = std::random_device()(),
                                .logit_bias = {}};
  RETURN_IF_ERROR(read_number(json, "temperature", params.temperature));
  RETURN_IF_ERROR(read_number(json, "top_p", params.top_p));
  RETURN_IF_ERROR(read_integer(json, "top_k", params.top_k));
  if (params.top_k == -1) params.top_k = 0;
  RETURN_IF_ERROR(read_number(json, "min_p", params.min_p));
  RETURN_IF_ERROR(read_number(json, "presence_penalty", params.presence_penalty));
  RETURN_IF_ERROR(read_number(json, "frequency_penalty", params.frequency_penalty));
  RETURN_IF_ERROR(read_number(json, "repetition_penalty", params.repetition_penalty));
  RETURN_IF_ERROR(read_seed(json, params.seed));
  if (json.contains("logit_bias")) {
    ASSIGN_OR_RETURN(params.logit_bias, logit_bias(json["logit_bias"]));
  }
  return params;
}

Result<void> check_keys(const Json& json) {
  if (!json.is_object()) return Error{"a request must be a JSON object, found " + dump_json(json)};
  for (const auto& [key, value] : json.items()) {
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      return Error{"unknown key " + key, ErrorCode::kInvalidInput, key};
    }
  }
  return {};
}

// All but the prompt.
Result<GenerationRequest> parse_options(const Json& json, const server::SamplingDefaults& defaults,
                                        int32_t max_drafts) {
  GenerationRequest parsed;
  engine::Request& request = parsed.request;
  ASSIGN_OR_RETURN(request.sampling, sampling(json, defaults));
  ASSIGN_OR_RETURN(request.drafts, draft_count(json, max_drafts));
  RETURN_IF_ERROR(read_integer(json, "max_tokens", request.max_tokens));
  if (json.contains("max_tokens") && request.max_tokens < 1) {
    return wrong("max_tokens", "at least 1", json["max_tokens"]);
  }
  RETURN_IF_ERROR(read_integer(json, "min_tokens", request.min_tokens));
  if (json.contains("ignore_eos")) {
    if (!json["ignore_eos"].is_boolean()) {
      return wrong("ignore_eos", "true or false", json["ignore_eos"]);
    }
    request.ignore_eos = json["ignore_eos"].get<bool>();
  }
  if (json.contains("stop_token_ids")) {
    ASSIGN_OR_RETURN(request.stop_token_ids, id_list("stop_token_ids", json["stop_token_ids"]));
  }
  if (json.contains("stop")) {
    ASSIGN_OR_RETURN(parsed.stop, stop_strings(json["stop"]));
  }
  return parsed;
}

}  // namespace

Result<void> check_request_options(const Json& json) {
  RETURN_IF_ERROR(check_keys(json));
  constexpr int32_t kAny = std::numeric_limits<int32_t>::max();
  ASSIGN_OR_RETURN(const GenerationRequest parsed, parse_options(json, {}, kAny));
  if (json.contains("tokens")) {
    ASSIGN_OR_RETURN(const std::vector<int32_t> ids, id_list("tokens", json["tokens"]));
  }
  return engine::check_options(
      parsed.request, {.vocab = kMaxTokenIds, .vocab_limit = kMaxTokenIds, .max_drafts = kAny});
}

Result<GenerationRequest> parse_generation_request(const Json& json,
                                                   const server::SamplingDefaults& defaults,
                                                   int32_t max_drafts, const TextTools& tools) {
  RETURN_IF_ERROR(check_keys(json));
  ASSIGN_OR_RETURN(GenerationRequest parsed, parse_options(json, defaults, max_drafts));
  ASSIGN_OR_RETURN(parsed.request.prompt, prompt_ids(json, tools));
  if (!parsed.stop.empty() && tools.tokenizer == nullptr) {
    return Error{"stop needs a tokenizer.json"};
  }
  return parsed;
}

}  // namespace gallop::cli
