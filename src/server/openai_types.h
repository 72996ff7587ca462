// OpenAI's JSON and the server's structs: what a chat request says (every default is here), and how
// replies and stream chunks look. Nothing of HTTP, of tokens' meaning or of the engine's work.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/request.h"
#include "server/sampling_defaults.h"

namespace gallop::server {

constexpr size_t kMaxRequestIdBytes = 128;

// A chat completion request, checked. Messages are in the templates' form (chat_messages.h).
struct ChatRequest {
  std::string model;       // empty: the default one
  std::string request_id;  // the client's name for it; empty: none
  Json messages = Json::array();
  Json tools = nullptr;  // null or a non-empty list
  Json template_kwargs = Json::object();

  bool parse_tools = false;  // tools are given and tool_choice is not "none"
  bool parallel_tool_calls = true;
  bool include_reasoning = true;
  bool return_token_ids = false;

  bool stream = false;
  bool include_usage = false;     // a last chunk with the usage
  bool continuous_usage = false;  // the usage in every chunk

  int32_t n = 1;
  std::optional<uint64_t> seed;
  std::vector<std::string> stop;
  bool include_stop = false;  // the stop string is part of the text
  bool skip_special_tokens = true;

  // prompt and drafts are filled in later; max_tokens 0: not given.
  engine::Request engine;
};

// `vocab_limit`: token ids in logit_bias and stop_token_ids are below it.
Result<ChatRequest> parse_chat_request(const Json& body, const SamplingDefaults& defaults,
                                       int32_t vocab_limit);

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t reasoning_tokens = 0;
};

// One choice of a reply that is complete.
struct ChoiceReply {
  struct ToolCall {
    std::string id;
    std::string name;
    std::string arguments;
  };

  std::string reasoning;
  std::string content;
  std::vector<ToolCall> tool_calls;
  std::string finish_reason;
  Json stop_reason = nullptr;  // the stop string or stop token id that ended it
  std::vector<int32_t> token_ids;
};

// What all replies and chunks of one request share.
struct ReplyHead {
  std::string id;
  std::string model;
  int64_t created = 0;  // seconds since 1970
};

Json usage_json(const Usage& usage);
// A whole reply; `prompt_ids` is null unless token ids were asked for.
Json chat_reply(const ReplyHead& head, const std::vector<ChoiceReply>& choices, const Usage& usage,
                const ChatRequest& request, const std::vector<int32_t>* prompt_ids, uint64_t seed);

// One chunk with one choice; `finish_reason` is null for all but the last.
Json chat_chunk(const ReplyHead& head, int32_t index, Json delta, Json finish_reason);
Json usage_chunk(const ReplyHead& head, const Usage& usage);

// One card of GET /v1/models.
Json model_card(const std::string& id, const std::string& root, int64_t created,
                int32_t max_model_len);

}  // namespace gallop::server
