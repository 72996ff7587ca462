#include "server/api_server.h"

#include <future>
#include <thread>

#include <gtest/gtest.h>

#include "server/testing/fake_generator.h"
#include "server/testing/http_client.h"

namespace gallop::server {
namespace {

using std::chrono::milliseconds;
using testing::ClientResponse;
using testing::FakeGenerator;
using testing::FakeScript;
using testing::HttpClient;
using testing::sse_data;

constexpr const char* kChat = "/v1/chat/completions";

const ChatModel& foal() {
  static const ChatModel model = [] {
    auto loaded = ChatModel::load(GALLOP_SOURCE_DIR "/models/foal/target");
    CHECK(loaded.ok());
    return std::move(*loaded);
  }();
  return model;
}

std::vector<int32_t> ids_of(const std::string& text) {
  return *foal().tokenizer.encode(text, false);
}

int32_t stop_id() { return *foal().tokenizer.token_id("<|im_end|>"); }

// `text` in steps of `step` tokens, the stop token at its end.
FakeScript answer(const std::string& text, size_t step = 1, milliseconds delay = milliseconds(0)) {
  std::vector<int32_t> ids = ids_of(text);
  ids.push_back(stop_id());
  FakeScript script;
  script.delay = delay;
  for (size_t i = 0; i < ids.size(); i += step) {
    script.steps.emplace_back(ids.begin() + static_cast<int64_t>(i),
                              ids.begin() + static_cast<int64_t>(std::min(i + step, ids.size())));
  }
  return script;
}

std::string chat_body(const std::string& more = "") {
  return R"({"messages":[{"role":"user","content":"hi"}])" + (more.empty() ? "" : "," + more) + "}";
}

class ApiServerTest : public ::testing::Test {
 protected:
  void start(ApiServerOptions options = {}) {
    options.port = 0;
    options.model_names = {"foal", "other"};
    options.model_root = "models/foal";
    options.drafts = 15;
    auto server = ApiServer::listen(std::move(options), foal(), generator_);
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = std::move(*server);
    done_ = std::async(std::launch::async, [this] { server_->run(); });
  }

  void TearDown() override {
    if (!server_) return;
    server_->shut_down();
    ASSERT_EQ(done_.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  }

  Json post(const std::string& body, int status = 200) {
    HttpClient client(server_->port());
    const ClientResponse response = client.post(kChat, body);
    EXPECT_EQ(response.status, status) << response.body;
    const Result<Json> json = parse_json(response.body);
    EXPECT_TRUE(json.ok()) << response.body;
    return json.ok() ? *json : Json();
  }

  std::vector<Json> stream(const std::string& fields) {
    HttpClient client(server_->port());
    const ClientResponse response =
        client.post(kChat, chat_body("\"stream\":true" + (fields.empty() ? "" : "," + fields)));
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_TRUE(response.has_header("Content-Type: text/event-stream; charset=utf-8"));
    std::vector<std::string> data = sse_data(response.body);
    EXPECT_EQ(data.back(), "[DONE]");
    data.pop_back();
    std::vector<Json> events;
    for (const std::string& event : data) events.push_back(*parse_json(event));
    return events;
  }

  FakeGenerator generator_;
  std::unique_ptr<ApiServer> server_;
  std::future<void> done_;
};

TEST_F(ApiServerTest, SmallRoutes) {
  start();
  HttpClient client(server_->port());
  EXPECT_EQ(client.get("/health").status, 200);
  EXPECT_TRUE(client.get("/version").body.starts_with("{\"version\":\""));
  const Json models = *parse_json(client.get("/v1/models").body);
  EXPECT_EQ(models["data"].size(), 2u);
  EXPECT_EQ(models["data"][0]["id"], "foal");
  EXPECT_EQ(models["data"][0]["max_model_len"], 2048);
  EXPECT_EQ((*parse_json(client.get("/v1/models/other").body))["id"], "other");
  EXPECT_EQ(client.get("/v1/models/none").status, 404);
  const ClientResponse page = client.get("/");
  EXPECT_TRUE(page.has_header("Content-Type: text/html"));
  EXPECT_EQ(page.body.find("http://"), page.body.find("http://www.w3.org/2000/svg"));
  EXPECT_EQ(page.body.find("https://"), std::string::npos);
  generator_.set_healthy(false);
  EXPECT_EQ(client.get("/health").status, 503);
}

TEST_F(ApiServerTest, WholeReply) {
  generator_.set_script(answer("think\n</think>\n\nHello."));
  start();
  const Json reply = post(chat_body(R"("model":"other","return_token_ids":true,"seed":7)"));
  EXPECT_EQ(reply["object"], "chat.completion");
  EXPECT_EQ(reply["model"], "foal");
  const Json& choice = reply["choices"][0];
  EXPECT_EQ(choice["message"]["reasoning"], "think\n");
  EXPECT_EQ(choice["message"]["reasoning_content"], "think\n");
  EXPECT_EQ(choice["message"]["content"], "\n\nHello.");
  EXPECT_FALSE(choice["message"].contains("tool_calls"));
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_TRUE(choice["stop_reason"].is_null());
  EXPECT_EQ(choice["token_ids"].back(), stop_id());
  EXPECT_EQ(reply["usage"]["completion_tokens"], choice["token_ids"].size());
  EXPECT_EQ(reply["usage"]["prompt_tokens"], reply["prompt_token_ids"].size());
  EXPECT_EQ(reply["usage"]["completion_tokens_details"]["reasoning_tokens"],
            ids_of("think\n</think>").size());
  EXPECT_EQ(reply["seed"], 7);
  const engine::Request request = generator_.requests().at(0);
  EXPECT_EQ(request.sampling.seed, 7u);
  EXPECT_EQ(request.drafts, 15);
  EXPECT_NEAR(request.sampling.temperature, 0.7, 1e-6);  // generation_config.json
  EXPECT_EQ(request.sampling.top_k, 20);
  EXPECT_EQ(request.max_tokens + static_cast<int32_t>(request.prompt.size()), 2048);
}

TEST_F(ApiServerTest, StreamShape) {
  generator_.set_script(answer("think</think>caf\xc3\xa9 \xf0\x9f\x90\xb4", 3));
  start();
  const std::vector<Json> events = stream(R"("stream_options":{"include_usage":true})");
  EXPECT_EQ(dump_json(events[0]["choices"][0]["delta"]), R"({"role":"assistant","content":""})");
  std::string reasoning;
  std::string content;
  int finished = 0;
  for (const Json& event : events) {
    EXPECT_EQ(event["object"], "chat.completion.chunk");
    EXPECT_EQ(event["id"], events[0]["id"]);
    EXPECT_EQ(event["created"], events[0]["created"]);
    EXPECT_EQ(event.contains("usage"), event["choices"].empty());
    if (event["choices"].empty()) continue;
    const Json& choice = event["choices"][0];
    reasoning += choice["delta"].value("reasoning", "");
    content += choice["delta"].value("content", "");
    EXPECT_EQ(choice["delta"].value("reasoning_content", ""),
              choice["delta"].value("reasoning", ""));
    EXPECT_EQ(content.find("\xef\xbf\xbd"), std::string::npos);
    if (choice["finish_reason"] == "stop") ++finished;
  }
  const size_t steps = (ids_of("think</think>caf\xc3\xa9 \xf0\x9f\x90\xb4").size() + 3) / 3;
  EXPECT_LE(events.size(), 1 + steps + 1 + 2);  // role, one per step but one with two kinds, ends
  EXPECT_EQ(reasoning, "think");
  EXPECT_EQ(content, "caf\xc3\xa9 \xf0\x9f\x90\xb4");
  EXPECT_EQ(finished, 1);
  EXPECT_EQ(events.back()["usage"]["total_tokens"],
            events.back()["usage"]["prompt_tokens"].get<int>() +
                events.back()["usage"]["completion_tokens"].get<int>());
  for (const Json& event : stream("")) EXPECT_FALSE(event.contains("usage"));
}

const std::string kTools =
    R"("tools":[{"type":"function","function":{"name":"cook","parameters":{"type":"object",)"
    R"("properties":{"code":{"type":"string"},"count":{"type":"integer"}}}}}])";
const std::string kCall =
    "\n\n<tool_call>\n<function=cook>\n<parameter=code>\nXP\n</parameter>\n"
    "<parameter=count>\n81\n</parameter>\n</function>\n</tool_call>";
constexpr const char* kArguments = R"({"code": "XP", "count": 81})";

TEST_F(ApiServerTest, ToolCalls) {
  generator_.set_script(answer("x</think>" + kCall + "\n" + kCall, 2));
  start();
  const Json reply = post(chat_body(kTools));
  const Json& message = reply["choices"][0]["message"];
  EXPECT_TRUE(message["content"].is_null());
  ASSERT_EQ(message["tool_calls"].size(), 2u);
  EXPECT_EQ(message["tool_calls"][0]["function"]["name"], "cook");
  EXPECT_EQ(message["tool_calls"][1]["function"]["arguments"], kArguments);
  EXPECT_NE(message["tool_calls"][0]["id"], message["tool_calls"][1]["id"]);
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "tool_calls");
  const Json one = post(chat_body(kTools + R"(,"parallel_tool_calls":false)"));
  EXPECT_EQ(one["choices"][0]["message"]["tool_calls"].size(), 1u);
  const Json none = post(chat_body(kTools + R"(,"tool_choice":"none")"));
  EXPECT_EQ(none["choices"][0]["finish_reason"], "stop");
  EXPECT_NE(none["choices"][0]["message"]["content"].get<std::string>().find("<tool_call>"),
            std::string::npos);
}

TEST_F(ApiServerTest, ToolCallsStreamTheSameArguments) {
  generator_.set_script(answer("x</think>" + kCall));
  start();
  std::string arguments;
  std::string id;
  Json finish;
  for (const Json& event : stream(kTools)) {
    const Json& choice = event["choices"][0];
    finish = choice["finish_reason"];
    if (!choice["delta"].contains("tool_calls")) continue;
    const Json& call = choice["delta"]["tool_calls"][0];
    EXPECT_EQ(call["index"], 0);
    if (call.contains("id"))
      id += call["id"].get<std::string>() + call["function"]["name"].get<std::string>();
    arguments += call["function"]["arguments"].get<std::string>();
  }
  EXPECT_EQ(arguments, kArguments);
  EXPECT_TRUE(id.starts_with("chatcmpl-tool-") && id.ends_with("cook"));
  EXPECT_EQ(finish, "tool_calls");
}

TEST_F(ApiServerTest, StopStringsDoNotDependOnSteps) {
  start();
  Json first;
  for (const size_t step : {1u, 2u, 5u, 64u}) {
    generator_.set_script(answer("a</think>one two three four five six seven", step));
    const Json reply = post(chat_body(R"("stop":["thr"],"return_token_ids":true)"));
    const Json& choice = reply["choices"][0];
    EXPECT_EQ(choice["message"]["content"], "one two ");
    EXPECT_EQ(choice["finish_reason"], "stop");
    EXPECT_EQ(choice["stop_reason"], "thr");
    if (first.is_null()) first = choice["token_ids"];
    EXPECT_EQ(choice["token_ids"], first);
    EXPECT_EQ(reply["usage"]["completion_tokens"], first.size());
  }
  EXPECT_TRUE(generator_.wait_for_cancelled(3));  // the last script ends in one step
  generator_.set_script(answer("a</think>one two three", 64));
  const Json kept = post(chat_body(R"("stop":"thr","include_stop_str_in_output":true)"));
  EXPECT_EQ(kept["choices"][0]["message"]["content"], "one two thr");
}

TEST_F(ApiServerTest, FinishReasons) {
  FakeScript script = answer("a</think>one");
  script.finish = engine::FinishReason::kLength;
  generator_.set_script(script);
  start();
  EXPECT_EQ(post(chat_body())["choices"][0]["finish_reason"], "length");
  FakeScript own = answer("a</think>one two");
  own.steps.pop_back();  // the last word's token ends it
  const int32_t last = own.steps.back().back();
  generator_.set_script(own);
  const Json reply = post(chat_body("\"stop_token_ids\":[" + std::to_string(last) + "]"));
  EXPECT_EQ(reply["choices"][0]["stop_reason"], last);
  EXPECT_EQ(reply["choices"][0]["message"]["content"].get<std::string>().find("two"),
            std::string::npos);
}

TEST_F(ApiServerTest, SeveralChoices) {
  generator_.set_script(answer("a</think>one"));
  start();
  const Json reply = post(chat_body(R"("n":3,"seed":5)"));
  ASSERT_EQ(reply["choices"].size(), 3u);
  EXPECT_EQ(reply["choices"][2]["index"], 2);
  const size_t each = ids_of("a</think>one").size() + 1;
  EXPECT_EQ(reply["usage"]["completion_tokens"], 3 * each);
  const std::vector<engine::Request> requests = generator_.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].sampling.seed, 5u);
  EXPECT_NE(requests[1].sampling.seed, requests[2].sampling.seed);
  std::vector<int> finished(2);
  for (const Json& event : stream(R"("n":2)")) {
    const Json& choice = event["choices"][0];
    if (!choice["finish_reason"].is_null()) ++finished[choice["index"].get<size_t>()];
  }
  EXPECT_EQ(finished, (std::vector<int>{1, 1}));
}

TEST_F(ApiServerTest, ThinkingOff) {
  generator_.set_script(answer("plain"));
  start();
  const Json reply = post(chat_body(R"("chat_template_kwargs":{"enable_thinking":false})"));
  EXPECT_EQ(reply["choices"][0]["message"]["content"], "plain");
  EXPECT_TRUE(reply["choices"][0]["message"]["reasoning"].is_null());
  const Json hidden = post(chat_body(R"("include_reasoning":false,"return_token_ids":true)"));
  EXPECT_TRUE(hidden["choices"][0]["message"]["reasoning"].is_null());
  EXPECT_TRUE(hidden["choices"][0]["token_ids"].empty());
}

TEST_F(ApiServerTest, RequestIds) {
  generator_.set_script(answer("a</think>one"));
  start();
  HttpClient client(server_->port());
  const std::string type = "Content-Type: application/json\r\n";
  const std::string body = chat_body(R"("request_id":"mine")");
  const ClientResponse named = client.post(kChat, body);
  EXPECT_EQ((*parse_json(named.body))["id"], "chatcmpl-mine");
  EXPECT_TRUE(named.has_header("X-Request-Id: mine"));
  const ClientResponse both = client.post(kChat, body, type + "X-Request-Id: header\r\n");
  EXPECT_EQ((*parse_json(both.body))["id"], "chatcmpl-header");
  EXPECT_TRUE(both.has_header("X-Request-Id: header"));
  EXPECT_EQ(post(chat_body())["id"].get<std::string>().size(),
            std::string("chatcmpl-").size() + 16);
}

TEST_F(ApiServerTest, RolesAndNullContent) {
  generator_.set_script(answer("a</think>one"));
  start();
  post(R"({"messages":[{"role":"developer","content":"x"},{"role":"user","content":"a"}]})");
  post(R"({"messages":[{"role":"system","content":"x"},{"role":"user","content":"a"}]})");
  post(R"({"messages":[{"role":"user","content":null}]})");
  const std::vector<engine::Request> requests = generator_.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].prompt, requests[1].prompt);  // foal's template knows no developer
}

TEST_F(ApiServerTest, BadRequests) {
  start();
  const Json unknown = post(chat_body(R"("model":"x")"), 404);
  EXPECT_EQ(dump_json(unknown),
            R"({"error":{"message":"The model `x` does not exist.","type":"NotFoundError",)"
            R"("param":"model","code":404}})");
  EXPECT_EQ(post("{", 400)["error"]["param"], "body");
  EXPECT_EQ(post("{\"messages\":\"\xff\"}", 400)["error"]["type"], "Bad Request");
  const Json role =
      post(R"({"messages":[{"role":"user","content":"a"},{"role":"cat","content":"hi"}]})",
           400)["error"];
  EXPECT_NE(role["message"].get<std::string>().find("Unexpected message role."), std::string::npos)
      << role;
  EXPECT_TRUE(role["param"].is_null());
  HttpClient client(server_->port());
  EXPECT_EQ(client.post(kChat, chat_body(), "Content-Type: text/plain\r\n").status, 400);
  EXPECT_EQ(client.post(kChat, chat_body(), "").status, 400);
  const std::string type = "Content-Type: application/json\r\n";
  const auto packed = client.post(kChat, chat_body(), type + "Content-Encoding: gzip\r\n");
  EXPECT_EQ(packed.status, 415);
  EXPECT_TRUE(packed.has_header("Accept-Encoding: identity"));
  EXPECT_EQ(client.get(kChat).status, 405);
  EXPECT_TRUE(generator_.requests().empty());
}

TEST_F(ApiServerTest, EngineErrors) {
  FakeScript script = answer("a</think>one two");
  script.finish = engine::FinishReason::kError;
  script.error = "device lost";
  generator_.set_script(script);
  start();
  EXPECT_EQ(post(chat_body(), 500)["error"]["message"], "device lost");
  const std::vector<Json> events = stream("");
  EXPECT_EQ(events.back()["error"]["code"], 500);
  generator_.set_refusal({"queue full", ErrorCode::kUnavailable});
  EXPECT_EQ(post(chat_body(), 503)["error"]["message"], "queue full");
}

TEST_F(ApiServerTest, LeavingCancels) {
  generator_.set_script(answer("a long answer that goes on and on and on", 1, milliseconds(100)));
  start();
  HttpClient streaming(server_->port());
  streaming.send(testing::post_request(kChat, chat_body(R"("stream":true)")));
  streaming.receive_until("assistant");
  streaming.close();
  EXPECT_TRUE(generator_.wait_for_cancelled(1));
  HttpClient waiting(server_->port());
  waiting.send(testing::post_request(kChat, chat_body(R"("n":2)")));
  while (generator_.requests().size() < 3) std::this_thread::sleep_for(milliseconds(5));
  waiting.close();
  EXPECT_TRUE(generator_.wait_for_cancelled(3));
  generator_.set_script(answer("a</think>fine"));
  EXPECT_EQ(post(chat_body())["choices"][0]["message"]["content"], "fine");
}

TEST_F(ApiServerTest, PipelinedChatsAreAnsweredInOrder) {
  generator_.set_script(answer("a</think>one", 1, milliseconds(5)));
  start();
  HttpClient client(server_->port());
  client.send(testing::post_request(kChat, chat_body()) +
              testing::post_request(kChat, chat_body(R"("stream":true)")) +
              "GET /version HTTP/1.1\r\n\r\n");
  EXPECT_NE(client.receive().body.find("\"chat.completion\""), std::string::npos);
  EXPECT_NE(client.receive().body.find("data: [DONE]"), std::string::npos);
  EXPECT_NE(client.receive().body.find("version"), std::string::npos);
}

TEST_F(ApiServerTest, KeysGuardTheApiAlone) {
  ApiServerOptions options;
  options.api_keys = {"secret"};
  start(options);
  HttpClient client(server_->port());
  EXPECT_EQ(client.get("/health").status, 200);
  EXPECT_EQ(client.get("/").status, 200);
  const ClientResponse refused = client.post(kChat, chat_body());
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body, R"({"error":"Unauthorized"})");
  EXPECT_EQ(client.get("/v1/models", "Authorization: Bearer secret\r\n").status, 200);
}

TEST_F(ApiServerTest, ShutdownAtOnce) {
  generator_.set_script(answer("a long answer that goes on and on and on", 1, milliseconds(200)));
  start();
  HttpClient streaming(server_->port());
  streaming.send(testing::post_request(kChat, chat_body(R"("stream":true)")));
  streaming.receive_until("assistant");
  HttpClient waiting(server_->port());
  waiting.send(testing::post_request(kChat, chat_body()));
  while (generator_.requests().size() < 2) std::this_thread::sleep_for(milliseconds(5));
  server_->shut_down();
  const std::vector<std::string> events = sse_data(streaming.receive().body);
  ASSERT_GE(events.size(), 2u);
  EXPECT_NE(events[events.size() - 2].find("shutting down"), std::string::npos);
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_EQ(waiting.receive().status, 503);
  EXPECT_EQ(done_.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_TRUE(generator_.wait_for_cancelled(2));
}

TEST_F(ApiServerTest, ShutdownWithTimeoutLetsRequestsFinish) {
  generator_.set_script(answer("a</think>one", 1, milliseconds(50)));
  ApiServerOptions options;
  options.shutdown_timeout = std::chrono::seconds(20);
  start(options);
  HttpClient client(server_->port());
  client.send(testing::post_request(kChat, chat_body()));
  while (generator_.requests().empty()) std::this_thread::sleep_for(milliseconds(5));
  server_->shut_down();
  HttpClient late(server_->port());
  EXPECT_EQ(late.post(kChat, chat_body()).status, 503);
  EXPECT_NE(client.receive().body.find("\"one\""), std::string::npos);
}

}  // namespace
}  // namespace gallop::server
