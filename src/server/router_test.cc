#include "server/router.h"

#include <gtest/gtest.h>

namespace gallop::server {
namespace {

// Keeps what it was answered.
class RecordingExchange : public HttpExchange {
 public:
  void respond(HttpResponse response) override { answer = std::move(response); }
  void begin_stream(HttpResponse) override {}
  void write(std::string_view) override {}
  void end_stream() override {}
  void on_gone(std::function<void()>) override {}

  HttpResponse answer;
};

Router make_router(std::vector<std::string> keys) {
  Router router(std::move(keys));
  const auto answer = [](std::string text) {
    return [text](const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange,
                  const std::string& segment) {
      exchange->respond({200, "text/plain", text + segment, {}});
    };
  };
  router.add("GET", "/health", answer("health"));
  router.add("GET", "/v1/models", answer("models"));
  router.add("GET", "/v1/models/*", answer("model "));
  router.add("POST", "/v1/chat", answer("chat"));
  return router;
}

HttpResponse ask(const Router& router, std::string method, std::string path,
                 HttpHeaders headers = {}) {
  const auto exchange = std::make_shared<RecordingExchange>();
  router.handle({std::move(method), std::move(path), "", std::move(headers), "", nullptr},
                exchange);
  return exchange->answer;
}

TEST(Router, FindsRoutes) {
  const Router router = make_router({});
  EXPECT_EQ(ask(router, "GET", "/health").body, "health");
  EXPECT_EQ(ask(router, "HEAD", "/health").body, "health");
  EXPECT_EQ(ask(router, "GET", "/v1/models").body, "models");
  EXPECT_EQ(ask(router, "GET", "/v1/models/a%2Fb/c").body, "model a/b/c");
  EXPECT_EQ(ask(router, "GET", "/v1/models/50%").body, "model 50%");
}

TEST(Router, UnknownPathsAndMethods) {
  const Router router = make_router({});
  EXPECT_EQ(ask(router, "GET", "/nothing").status, 404);
  EXPECT_EQ(ask(router, "GET", "/v1/models/").status, 404);
  const HttpResponse wrong = ask(router, "GET", "/v1/chat");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.back(), (std::pair<std::string, std::string>{"Allow", "POST"}));
  EXPECT_EQ(wrong.body, R"({"error":{"message":"Method Not Allowed","type":"Method Not Allowed",)"
                        R"("param":null,"code":405}})");
}

TEST(Router, Keys) {
  const Router router = make_router({"secret", "other"});
  EXPECT_EQ(ask(router, "GET", "/health").status, 200);
  const HttpResponse refused = ask(router, "GET", "/v1/models");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body, R"({"error":"Unauthorized"})");
  EXPECT_EQ(ask(router, "GET", "/v1/nothing").status, 401);
  EXPECT_EQ(ask(router, "OPTIONS", "/v1/models").status, 200);
  const auto status = [&router](HttpHeaders headers) {
    return ask(router, "GET", "/v1/models", std::move(headers)).status;
  };
  EXPECT_EQ(status({{"authorization", "Bearer secret"}}), 200);
  EXPECT_EQ(status({{"authorization", "bearer other"}}), 200);
  EXPECT_EQ(status({{"x-api-key", "other"}}), 200);
  EXPECT_EQ(status({{"authorization", "Bearer wrong"}, {"x-api-key", "secret"}}), 200);
  EXPECT_EQ(status({{"authorization", "Bearer secre"}}), 401);
  EXPECT_EQ(status({{"authorization", "Bearer secretsecret"}}), 401);
  EXPECT_EQ(status({{"authorization", "Bearer "}}), 401);
  EXPECT_EQ(status({{"authorization", "Basic secret"}}), 401);
  EXPECT_EQ(status({{"x-api-key", ""}}), 401);
}

TEST(Router, Preflight) {
  const HttpResponse response =
      ask(make_router({}), "OPTIONS", "/v1/chat",
          {{"origin", "http://a"}, {"access-control-request-headers", "authorization,x-a"}});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers[1].second, "authorization,x-a");
}

}  // namespace
}  // namespace gallop::server
