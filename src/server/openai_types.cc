#include "server/openai_types.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/chat_messages.h"
#include "server/json_fields.h"

namespace gallop::server {
namespace {

constexpr int32_t kMostTokens = std::numeric_limits<int32_t>::max();
constexpr int32_t kMostChoices = 128;   // OpenAI's own limit
constexpr size_t kMostStopStrings = 4;  // likewise

// A field that would change the answer if it were ignored, and the JSON value that asks for
// nothing.
struct Unsupported {
  std::string_view name;
  std::string_view neutral;
};

constexpr Unsupported kUnsupported[] = {
    {"add_special_tokens", "false"},
    {"allowed_token_ids", "null"},
    {"bad_words", "[]"},
    {"chat_template", "null"},
    {"continue_final_message", "false"},
    {"documents", "[]"},
    {"echo", "false"},
    {"guided_choice", "null"},
    {"guided_grammar", "null"},
    {"guided_json", "null"},
    {"guided_regex", "null"},
    {"length_penalty", "1"},
    {"logits_processors", "[]"},
    {"logprob_token_ids", "[]"},
    {"logprobs", "false"},
    {"prompt_logprobs", "null"},
    {"repetition_detection", "null"},
    {"return_tokens_as_token_ids", "false"},
    {"structured_outputs", "null"},
    {"thinking_token_budget", "-1"},
    {"top_logprobs", "0"},
    {"truncate_prompt_tokens", "null"},
    {"use_beam_search", "false"},
};

Result<void> refuse_unsupported(const JsonFields& fields) {
  for (const auto& [name, neutral] : kUnsupported) {
    const Json* value = fields.find(name);
    if (value == nullptr || *value == Json::parse(neutral)) continue;
    return Error{fmt::format("{} is not available on this server.", name), ErrorCode::kUnsupported};
  }
  const Json* format = fields.find("response_format");
  if (format == nullptr) return {};
  if (!format->is_object()) {
    return form_error("response_format",
                      "response_format: expected an object, found " + describe_type(*format) + ".");
  }
  const auto type = format->find("type");
  if (type == format->end() || *type != "text") {
    return Error{
        "response_format: only the type 'text' is available, this server has no constrained "
        "decoding.",
        ErrorCode::kUnsupported};
  }
  return {};
}

void read_sampling(JsonFields& fields, const SamplingDefaults& defaults,
                   engine::SamplingParams& sampling) {
  const auto number = [&fields](const char* name, double min, double max, float fallback) {
    return static_cast<float>(fields.number(name, min, max).value_or(fallback));
  };
  sampling.temperature = number("temperature", 0, 2, defaults.temperature);
  sampling.top_p = number("top_p", 0, 1, defaults.top_p);
  if (sampling.top_p == 0) fields.wrong_value("top_p", "top_p must be above 0.");
  sampling.min_p = number("min_p", 0, 1, defaults.min_p);
  sampling.presence_penalty = number("presence_penalty", -2, 2, defaults.presence_penalty);
  sampling.frequency_penalty = number("frequency_penalty", -2, 2, defaults.frequency_penalty);
  sampling.repetition_penalty = number("repetition_penalty", 0, std::numeric_limits<float>::max(),
                                       defaults.repetition_penalty);
  if (sampling.repetition_penalty <= 0) {
    fields.wrong_value("repetition_penalty", "repetition_penalty must be above 0.");
  }
  const int64_t top_k = fields.integer("top_k", -1, kMostTokens).value_or(defaults.top_k);
  sampling.top_k = static_cast<int32_t>(std::max<int64_t>(top_k, 0));
}

void read_logit_bias(JsonFields& fields, int32_t vocab_limit, engine::SamplingParams& sampling) {
  const Json* bias = fields.object("logit_bias");
  if (bias == nullptr) return;
  for (const auto& [key, value] : bias->items()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= vocab_limit) {
      fields.wrong_value("logit_bias", fmt::format("logit_bias: '{}' is not a token id below {}.",
                                                   key, vocab_limit));
      return;
    }
    if (!value.is_number()) {
      fields.wrong_type("logit_bias", "numbers as values", value);
      return;
    }
    sampling.logit_bias.emplace_back(
        id, std::clamp(value.get<float>(), -engine::kMaxBias, engine::kMaxBias));
  }
}

void read_seed(JsonFields& fields, ChatRequest& request) {
  const Json* seed = fields.find("seed");
  if (seed == nullptr) return;
  if (seed->is_number_unsigned()) {
    request.seed = seed->get<uint64_t>();
  } else if (const auto value = fields.integer("seed", std::numeric_limits<int64_t>::min(),
                                               std::numeric_limits<int64_t>::max())) {
    request.seed = static_cast<uint64_t>(*value);
  }
}

void read_stop(JsonFields& fields, int32_t vocab_limit, ChatRequest& request) {
  request.engine.stop_token_ids = fields.integers("stop_token_ids", 0, vocab_limit - 1);
  request.include_stop = fields.boolean("include_stop_str_in_output", false);
  const Json* stop = fields.find("stop");
  if (stop == nullptr) return;
  const Json list = stop->is_string() ? Json::array({*stop}) : *stop;
  if (!list.is_array()) {
    fields.wrong_type("stop", "a string or a list of strings", *stop);
    return;
  }
  if (list.size() > kMostStopStrings) {
    fields.wrong_value(
        "stop", fmt::format("stop: at most {} strings, got {}.", kMostStopStrings, list.size()));
    return;
  }
  for (const Json& text : list) {
    if (!text.is_string()) {
      fields.wrong_type("stop", "a string or a list of strings", text);
      return;
    }
    if (text == "") fields.wrong_value("stop", "stop: a stop string can not be empty.");
    request.stop.push_back(text.get<std::string>());
  }
}

void read_lengths(JsonFields& fields, engine::Request& request) {
  auto most = fields.integer("max_completion_tokens", 1, kMostTokens);
  const auto deprecated = fields.integer("max_tokens", 1, kMostTokens);
  if (!most) most = deprecated;
  request.max_tokens = static_cast<int32_t>(most.value_or(0));
  request.min_tokens =
      static_cast<int32_t>(fields.integer("min_tokens", 0, kMostTokens).value_or(0));
  if (most && request.min_tokens > *most) {
    fields.wrong_value("min_tokens", fmt::format("min_tokens must be at most max_tokens ({}), got "
                                                 "{}.",
                                                 *most, request.min_tokens));
  }
  request.ignore_eos = fields.boolean("ignore_eos", false);
}

void read_stream(JsonFields& fields, ChatRequest& request) {
  request.stream = fields.boolean("stream", false);
  const Json* options = fields.object("stream_options");
  if (options == nullptr) return;
  if (!request.stream) {
    fields.wrong_value("stream_options", "stream_options is only allowed with stream: true.");
    return;
  }
  JsonFields option_fields(*options, "stream_options");
  request.include_usage = option_fields.boolean("include_usage", false);
  request.continuous_usage = option_fields.boolean("continuous_usage_stats", false);
  if (option_fields.error()) {
    fields.wrong_type("stream_options", "true or false as values", *options);
  }
}

bool valid_tool(const Json& tool) {
  if (!tool.is_object()) return false;
  const auto type = tool.find("type");
  const auto function = tool.find("function");
  if (type == tool.end() || *type != "function") return false;
  if (function == tool.end() || !function->is_object()) return false;
  const auto name = function->find("name");
  return name != function->end() && name->is_string() && *name != "";
}

bool names_a_tool(const Json& choice, const Json& tools) {
  const auto wanted = choice.find("function");
  if (wanted == choice.end() || !wanted->is_object() || !wanted->contains("name")) return false;
  return std::any_of(tools.begin(), tools.end(), [&](const Json& tool) {
    return valid_tool(tool) && tool["function"]["name"] == (*wanted)["name"];
  });
}

void read_tool_choice(JsonFields& fields, ChatRequest& request) {
  const Json* choice = fields.find("tool_choice");
  request.parse_tools = request.tools.is_array();
  if (choice == nullptr) return;
  if (*choice == "none") {
    request.parse_tools = false;
    return;
  }
  if (!choice->is_string() && !choice->is_object()) {
    fields.wrong_type("tool_choice", "a string or an object", *choice);
    return;
  }
  if (request.tools.is_null()) {
    fields.wrong_value("tool_choice", "tool_choice needs tools, and none are given.");
    return;
  }
  if (*choice == "auto") return;
  if (choice->is_object() && !names_a_tool(*choice, request.tools)) {
    fields.wrong_value("tool_choice", fmt::format("tool_choice names no function of tools: {}.",
                                                  dump_json(*choice)));
    return;
  }
  if (choice->is_object() || *choice == "required") {
    fields.fail(
        {"tool_choice: 'required' and named functions need constrained decoding, which this server "
         "does not have; use 'auto' or 'none'.",
         ErrorCode::kUnsupported});
    return;
  }
  fields.wrong_value("tool_choice", fmt::format("tool_choice must be 'none', 'auto', 'required' or "
                                                "a named function, got {}.",
                                                choice->dump()));
}

void read_tools(JsonFields& fields, ChatRequest& request) {
  if (const Json* tools = fields.array("tools")) {
    if (tools->empty()) fields.wrong_value("tools", "tools must not be an empty list.");
    for (size_t i = 0; i < tools->size(); ++i) {
      if (valid_tool((*tools)[i])) continue;
      fields.wrong_value("tools", fmt::format("tools.{}: expected {{\"type\": \"function\", "
                                              "\"function\": {{\"name\": ...}}}}.",
                                              i));
    }
    request.tools = *tools;
  }
  read_tool_choice(fields, request);
  request.parallel_tool_calls = fields.boolean("parallel_tool_calls", true);
}

void read_template(JsonFields& fields, ChatRequest& request) {
  if (const Json* kwargs = fields.object("chat_template_kwargs")) request.template_kwargs = *kwargs;
  if (!fields.boolean("add_generation_prompt", true)) {
    request.template_kwargs["add_generation_prompt"] = false;
  }
  const std::optional<std::string> effort = fields.string("reasoning_effort");
  if (!effort) return;
  constexpr std::array<std::string_view, 7> kEfforts = {"none", "minimal", "low", "medium",
                                                        "high", "xhigh",   "max"};
  if (std::find(kEfforts.begin(), kEfforts.end(), *effort) == kEfforts.end()) {
    fields.wrong_value("reasoning_effort", fmt::format("reasoning_effort must be one of {}, got "
                                                       "'{}'.",
                                                       fmt::join(kEfforts, ", "), *effort));
  }
  if (!request.template_kwargs.contains("enable_thinking")) {
    request.template_kwargs["enable_thinking"] = *effort != "none";
  }
}

// It goes into the reply's headers.
void read_request_id(JsonFields& fields, ChatRequest& request) {
  request.request_id = fields.string("request_id").value_or("");
  const bool printable = std::all_of(request.request_id.begin(), request.request_id.end(),
                                     [](char c) { return c > ' ' && c <= '~'; });
  if (!printable || request.request_id.size() > kMaxRequestIdBytes) {
    fields.wrong_value("request_id",
                       fmt::format("request_id must be at most {} ASCII characters without spaces.",
                                   kMaxRequestIdBytes));
  }
}

void read_choices(JsonFields& fields, ChatRequest& request) {
  request.n = static_cast<int32_t>(fields.integer("n", 1, kMostChoices).value_or(1));
  if (request.n > 1 && request.engine.sampling.temperature < engine::kLeastTemperature) {
    fields.wrong_value("n",
                       fmt::format("n must be 1 when using greedy sampling, got {}.", request.n));
  }
}

}  // namespace

Result<ChatRequest> parse_chat_request(const Json& body, const SamplingDefaults& defaults,
                                       int32_t vocab_limit) {
  if (!body.is_object()) {
    return form_error("", "The body must be a JSON object, found " + describe_type(body) + ".");
  }
  JsonFields fields(body, "");
  RETURN_IF_ERROR(refuse_unsupported(fields));
  ChatRequest request;
  request.model = fields.string("model").value_or("");
  const Json* messages = fields.find("messages");
  if (messages == nullptr) return form_error("messages", "messages is missing.");
  read_sampling(fields, defaults, request.engine.sampling);
  read_logit_bias(fields, vocab_limit, request.engine.sampling);
  read_seed(fields, request);
  read_stop(fields, vocab_limit, request);
  read_lengths(fields, request.engine);
  read_stream(fields, request);
  read_tools(fields, request);
  read_template(fields, request);
  read_choices(fields, request);
  read_request_id(fields, request);
  request.include_reasoning = fields.boolean("include_reasoning", true);
  request.return_token_ids = fields.boolean("return_token_ids", false);
  request.skip_special_tokens = fields.boolean("skip_special_tokens", true);
  if (fields.error()) return *fields.error();
  ASSIGN_OR_RETURN(request.messages, convert_messages(*messages));
  return request;
}

Json usage_json(const Usage& usage) {
  Json json;
  json["prompt_tokens"] = usage.prompt_tokens;
  json["total_tokens"] = usage.prompt_tokens + usage.completion_tokens;
  json["completion_tokens"] = usage.completion_tokens;
  json["prompt_tokens_details"] = {{"cached_tokens", 0}};
  json["completion_tokens_details"] = {{"reasoning_tokens", usage.reasoning_tokens}};
  return json;
}

namespace {

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json message_json(const ChoiceReply& choice) {
  Json message;
  message["role"] = "assistant";
  message["content"] = or_null(choice.content);
  for (const char* name : {"refusal", "annotations", "audio", "function_call"}) {
    message[name] = nullptr;
  }
  message["reasoning"] = or_null(choice.reasoning);
  message["reasoning_content"] = message["reasoning"];
  for (const ChoiceReply::ToolCall& call : choice.tool_calls) {
    Json function{{"name", call.name}, {"arguments", call.arguments}};
    message["tool_calls"].push_back(
        {{"id", call.id}, {"type", "function"}, {"function", std::move(function)}});
  }
  return message;
}

Json head_json(const ReplyHead& head, const char* object) {
  Json json;
  json["id"] = head.id;
  json["object"] = object;
  json["created"] = head.created;
  json["model"] = head.model;
  return json;
}

}  // namespace

Json chat_reply(const ReplyHead& head, const std::vector<ChoiceReply>& choices, const Usage& usage,
                const ChatRequest& request, const std::vector<int32_t>* prompt_ids, uint64_t seed) {
  Json reply = head_json(head, "chat.completion");
  reply["choices"] = Json::array();
  for (size_t i = 0; i < choices.size(); ++i) {
    Json choice;
    choice["index"] = i;
    choice["message"] = message_json(choices[i]);
    choice["logprobs"] = nullptr;
    choice["finish_reason"] = choices[i].finish_reason;
    choice["stop_reason"] = choices[i].stop_reason;
    choice["token_ids"] = request.return_token_ids ? Json(choices[i].token_ids) : Json(nullptr);
    reply["choices"].push_back(std::move(choice));
  }
  reply["service_tier"] = nullptr;
  reply["system_fingerprint"] = nullptr;
  reply["usage"] = usage_json(usage);
  reply["prompt_logprobs"] = nullptr;
  reply["prompt_token_ids"] = prompt_ids != nullptr ? Json(*prompt_ids) : Json(nullptr);
  reply["kv_transfer_params"] = nullptr;
  reply["seed"] = seed;
  return reply;
}

Json chat_chunk(const ReplyHead& head, int32_t index, Json delta, Json finish_reason) {
  Json chunk = head_json(head, "chat.completion.chunk");
  Json choice;
  choice["index"] = index;
  choice["delta"] = std::move(delta);
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = std::move(finish_reason);
  chunk["choices"].push_back(std::move(choice));
  return chunk;
}

Json usage_chunk(const ReplyHead& head, const Usage& usage) {
  Json chunk = head_json(head, "chat.completion.chunk");
  chunk["choices"] = Json::array();
  chunk["usage"] = usage_json(usage);
  return chunk;
}

Json model_card(const std::string& id, const std::string& root, int64_t created,
                int32_t max_model_len) {
  Json permission{{"id", "modelperm-0000000000000000"},
                  {"object", "model_permission"},
                  {"created", created},
                  {"allow_create_engine", false},
                  {"allow_sampling", true},
                  {"allow_logprobs", false},
                  {"allow_search_indices", false},
                  {"allow_view", true},
                  {"allow_fine_tuning", false},
                  {"organization", "*"},
                  {"group", nullptr},
                  {"is_blocking", false}};
  Json card{{"id", id},
            {"object", "model"},
            {"created", created},
            {"owned_by", "gallop"},
            {"root", root},
            {"parent", nullptr},
            {"max_model_len", max_model_len}};
  card["permission"] = Json::array({std::move(permission)});
  return card;
}

}  // namespace gallop::server
