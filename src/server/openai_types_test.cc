#include "server/openai_types.h"

#include <map>

#include <gtest/gtest.h>

#include "server/api_error.h"

namespace gallop::server {
namespace {

constexpr int32_t kVocab = 1000;
const std::string kMessages = R"("messages":[{"role":"user","content":"hi"}])";

Result<ChatRequest> parse(const std::string& fields, const SamplingDefaults& defaults = {}) {
  return parse_chat_request(
      *parse_json("{" + kMessages + (fields.empty() ? "" : ",") + fields + "}"), defaults, kVocab);
}

TEST(OpenAiTypes, Defaults) {
  const Result<ChatRequest> request = parse("");
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->n, 1);
  EXPECT_FALSE(request->stream);
  EXPECT_FALSE(request->parse_tools);
  EXPECT_EQ(request->engine.sampling.temperature, 1);
  EXPECT_EQ(request->engine.sampling.top_k, 0);
  EXPECT_EQ(request->engine.max_tokens, 0);
  SamplingDefaults model;
  model.temperature = 0.5f;
  model.min_p = 0.25f;
  model.presence_penalty = 0.5f;
  model.repetition_penalty = 1.5f;
  model.top_k = 20;
  const Result<ChatRequest> with_model = parse(R"("top_p":0.5,"top_k":-1)", model);
  ASSERT_TRUE(with_model.ok());
  EXPECT_EQ(with_model->engine.sampling.temperature, 0.5f);
  EXPECT_EQ(with_model->engine.sampling.top_p, 0.5f);
  EXPECT_EQ(with_model->engine.sampling.min_p, 0.25f);
  EXPECT_EQ(with_model->engine.sampling.presence_penalty, 0.5f);
  EXPECT_EQ(with_model->engine.sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(with_model->engine.sampling.top_k, 0);
}

TEST(OpenAiTypes, EveryFieldArrives) {
  const Result<ChatRequest> request = parse(R"(
    "model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,
    "max_completion_tokens":7,"min_tokens":2,"temperature":0.5,"top_p":1,"top_k":3,"min_p":0.25,
    "seed":-1,"n":2,"stop":["a","b"],"stop_token_ids":[1,2],"ignore_eos":true,
    "presence_penalty":1,"frequency_penalty":-1,"repetition_penalty":1.5,
    "logit_bias":{"3":-500,"4":1.5},"tools":[{"type":"function","function":{"name":"f"}}],
    "parallel_tool_calls":false,"chat_template_kwargs":{"x":1},"reasoning_effort":"none",
    "include_reasoning":false,"return_token_ids":true,"user":"u","unknown":{"a":1},
    "logprobs":false,"response_format":{"type":"text"})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_TRUE(request->stream && request->include_usage && !request->continuous_usage);
  EXPECT_EQ(request->engine.max_tokens, 7);
  EXPECT_EQ(request->engine.min_tokens, 2);
  EXPECT_EQ(request->seed, ~uint64_t{0});
  EXPECT_EQ(request->stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request->engine.stop_token_ids, (std::vector<int32_t>{1, 2}));
  EXPECT_TRUE(request->engine.ignore_eos);
  EXPECT_EQ(request->engine.sampling.logit_bias,
            (std::vector<std::pair<int32_t, float>>{{3, -100.0f}, {4, 1.5f}}));
  EXPECT_TRUE(request->parse_tools && !request->parallel_tool_calls);
  EXPECT_EQ(dump_json(request->template_kwargs), R"({"x":1,"enable_thinking":false})");
  EXPECT_TRUE(request->return_token_ids && !request->include_reasoning);
}

TEST(OpenAiTypes, ThinkingKwargWinsOverEffort) {
  const auto request =
      parse(R"("reasoning_effort":"high","chat_template_kwargs":{"enable_thinking":false})");
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(dump_json(request->template_kwargs), R"({"enable_thinking":false})");
}

TEST(OpenAiTypes, ToolChoice) {
  const std::string tools = R"("tools":[{"type":"function","function":{"name":"f"}}])";
  EXPECT_FALSE(parse(tools + R"(,"tool_choice":"none")")->parse_tools);
  EXPECT_TRUE(parse(tools + R"(,"tool_choice":"auto")")->parse_tools);
  EXPECT_TRUE(parse(R"("tool_choice":"none")").ok());
}

// {fields, the error's param}
TEST(OpenAiTypes, BadFieldsAreNamed) {
  const std::string tools = R"("tools":[{"type":"function","function":{"name":"f"}}],)";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("temperature":"hot")", "body.temperature"},
      {R"("temperature":true)", "body.temperature"},
      {R"("temperature":-0.1)", "temperature"},
      {R"("temperature":2.1)", "temperature"},
      {R"("top_p":0)", "top_p"},
      {R"("top_p":1.1)", "top_p"},
      {R"("top_k":-2)", "top_k"},
      {R"("top_k":1.5)", "body.top_k"},
      {R"("min_p":-1)", "min_p"},
      {R"("presence_penalty":3)", "presence_penalty"},
      {R"("frequency_penalty":-3)", "frequency_penalty"},
      {R"("repetition_penalty":0)", "repetition_penalty"},
      {R"("max_tokens":0)", "max_tokens"},
      {R"("max_tokens":99999999999)", "max_tokens"},
      {R"("max_tokens":"5")", "body.max_tokens"},
      {R"("max_completion_tokens":-1)", "max_completion_tokens"},
      {R"("max_tokens":2,"min_tokens":3)", "min_tokens"},
      {R"("n":0)", "n"},
      {R"("n":2,"temperature":0)", "n"},
      {R"("n":1000)", "n"},
      {R"("seed":"a")", "body.seed"},
      {R"("seed":1.5)", "body.seed"},
      {R"("stop":1)", "body.stop"},
      {R"("stop":["a",1])", "body.stop"},
      {R"("stop":"")", "stop"},
      {R"("stop":["a","b","c","d","e"])", "stop"},
      {R"("stop_token_ids":[1000])", "stop_token_ids"},
      {R"("stop_token_ids":["a"])", "body.stop_token_ids"},
      {R"("stop_token_ids":3)", "body.stop_token_ids"},
      {R"("logit_bias":{"x":1})", "logit_bias"},
      {R"("logit_bias":{"1000":1})", "logit_bias"},
      {R"("logit_bias":{"1":"a"})", "body.logit_bias"},
      {R"("logit_bias":[])", "body.logit_bias"},
      {R"("stream":"yes")", "body.stream"},
      {R"("stream_options":{})", "stream_options"},
      {R"("stream":true,"stream_options":{"include_usage":1})", "body.stream_options"},
      {R"("tools":[])", "tools"},
      {R"("tools":[{"type":"function"}])", "tools"},
      {R"("tools":{})", "body.tools"},
      {R"("tool_choice":"auto")", "tool_choice"},
      {tools + R"("tool_choice":"maybe")", "tool_choice"},
      {tools + R"("tool_choice":{"type":"function","function":{"name":"g"}})", "tool_choice"},
      {R"("n":2,"temperature":1e-9)", "n"},
      {R"("response_format":"json")", "body.response_format"},
      {R"("request_id":1)", "body.request_id"},
      {R"("request_id":"a\r\nb")", "request_id"},
      {R"("reasoning_effort":"huge")", "reasoning_effort"},
      {R"("chat_template_kwargs":1)", "body.chat_template_kwargs"},
      {R"("model":1)", "body.model"},
      {R"("messages":[])", "messages"},
  };
  for (const auto& [fields, param] : cases) {
    SCOPED_TRACE(fields);
    const Result<ChatRequest> request = parse(fields);
    ASSERT_FALSE(request.ok());
    EXPECT_EQ(request.error().param, param);
    const ApiError error = to_api_error(request.error());
    EXPECT_EQ(error.status, 400);
    EXPECT_EQ(error.type, param.starts_with("body") ? "Bad Request" : "BadRequestError");
    const std::string name = param.starts_with("body.") ? param.substr(5) : param;
    EXPECT_NE(error.message.find(name), std::string::npos) << error.message;
  }
  EXPECT_FALSE(parse_chat_request(Json::array(), {}, kVocab).ok());
  EXPECT_EQ(parse_chat_request(Json::object(), {}, kVocab).error().param, "body.messages");
}

// {a value that asks for something, the values that do not}
TEST(OpenAiTypes, MissingFeaturesAreNamed) {
  const std::map<std::string, std::pair<std::string, std::vector<std::string>>> cases = {
      {"add_special_tokens", {"true", {"false"}}},
      {"allowed_token_ids", {"[1]", {}}},
      {"bad_words", {R"(["a"])", {"[]"}}},
      {"chat_template", {R"("{{ 1 }}")", {}}},
      {"continue_final_message", {"true", {"false"}}},
      {"documents", {R"([{"text":"a"}])", {"[]"}}},
      {"echo", {"true", {"false"}}},
      {"guided_choice", {R"(["a"])", {}}},
      {"guided_grammar", {R"("root ::= a")", {}}},
      {"guided_json", {"{}", {}}},
      {"guided_regex", {R"("a")", {}}},
      {"length_penalty", {"0.5", {"1", "1.0"}}},
      {"logits_processors", {R"(["a"])", {"[]"}}},
      {"logprob_token_ids", {"[1]", {"[]"}}},
      {"logprobs", {"true", {"false"}}},
      {"prompt_logprobs", {"0", {}}},
      {"repetition_detection", {R"({"max_pattern_size":3})", {}}},
      {"response_format", {R"({"type":"json_object"})", {R"({"type":"text"})"}}},
      {"return_tokens_as_token_ids", {"true", {"false"}}},
      {"structured_outputs", {R"({"regex":"a"})", {}}},
      {"thinking_token_budget", {"10", {"-1"}}},
      {"top_logprobs", {"2", {"0"}}},
      {"truncate_prompt_tokens", {"5", {}}},
      {"use_beam_search", {"true", {"false"}}},
  };
  for (const auto& [name, values] : cases) {
    SCOPED_TRACE(name);
    const Result<ChatRequest> refused = parse('"' + name + "\":" + values.first);
    ASSERT_FALSE(refused.ok());
    const ApiError error = to_api_error(refused.error());
    EXPECT_EQ(error.status, 501);
    EXPECT_EQ(error.type, "NotImplementedError");
    EXPECT_TRUE(error.param.empty());
    EXPECT_NE(error.message.find(name), std::string::npos) << error.message;
    EXPECT_TRUE(parse('"' + name + "\":null").ok());
    for (const std::string& value : values.second) {
      EXPECT_TRUE(parse('"' + name + "\":" + value).ok()) << value;
    }
  }
}

TEST(OpenAiTypes, ForcedToolCallsAreAMissingFeature) {
  const std::string tools = R"("tools":[{"type":"function","function":{"name":"f"}}],)";
  for (const char* choice : {R"("required")", R"({"type":"function","function":{"name":"f"}})"}) {
    const Result<ChatRequest> refused = parse(tools + "\"tool_choice\":" + choice);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(to_api_error(refused.error()).status, 501);
  }
}

}  // namespace
}  // namespace gallop::server
