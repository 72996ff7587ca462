#include "server/http_server.h"

#include <atomic>
#include <future>
#include <thread>

#include <gtest/gtest.h>

#include "server/testing/http_client.h"

namespace gallop::server {
namespace {

using testing::ClientResponse;
using testing::HttpClient;
using testing::post_request;

// A server on a thread of its own; the handler echoes method, path and body unless told otherwise.
class HttpServerTest : public ::testing::Test {
 protected:
  void start(HttpLimits limits = {}, HttpHandler handler = echo,
             const std::string& host = "127.0.0.1") {
    HttpServerOptions options;
    options.host = host;
    options.limits = limits;
    options.headers = {{"X-Common", "yes"}};
    options.error_response = [](int status, std::string message) {
      return HttpResponse{status, "text/plain", std::move(message), {}};
    };
    auto server = HttpServer::listen(std::move(options));
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = std::move(*server);
    thread_ = std::thread([this, handler] { server_->run(handler); });
  }

  void TearDown() override {
    if (!server_) return;
    server_->stop();
    thread_.join();
  }

  static void echo(HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
    HttpResponse response;
    response.content_type = "text/plain";
    response.body = request.method + " " + request.path + "?" + request.query + " " + request.body;
    exchange->respond(std::move(response));
  }

  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

TEST_F(HttpServerTest, KeepAliveAndHead) {
  start();
  HttpClient client(server_->port());
  const ClientResponse first = client.get("/a?b=c");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body, "GET /a?b=c ");
  EXPECT_TRUE(first.has_header("X-Common: yes"));
  EXPECT_EQ(client.post("/p", "body").body, "POST /p? body");
  client.send("HEAD /h HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.receive(true).status, 200);
  EXPECT_EQ(client.get("/z").body, "GET /z? ");
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
  std::vector<std::thread> threads;
  start({}, [&](HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
    // Later requests would be faster if they were not held back.
    const int delay_ms = request.path == "/0" ? 60 : 0;
    threads.emplace_back([this, delay_ms, exchange, path = request.path]() mutable {
      std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
      server_->poster()([exchange = std::move(exchange), path] {
        exchange->respond({200, "text/plain", path, {}});
      });
    });
  });
  HttpClient client(server_->port());
  std::string requests;
  for (int i = 0; i < 5; ++i) requests += "GET /" + std::to_string(i) + " HTTP/1.1\r\n\r\n";
  client.send(requests);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client.receive().body, "/" + std::to_string(i));
  for (std::thread& thread : threads) thread.join();
}

// While a request is answered the connection reads on; what it has read ahead and what comes later
// must stay apart.
TEST_F(HttpServerTest, PipelinedRequestsInPieces) {
  std::vector<std::thread> threads;
  start({}, [&](HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
    threads.emplace_back(
        [this, exchange = std::move(exchange), text = request.path + " " + request.body]() mutable {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          server_->poster()([exchange = std::move(exchange), text] {
            exchange->respond({200, "text/plain", text, {}});
          });
        });
  });
  HttpClient client(server_->port());
  client.send(post_request("/a", "first") + post_request("/b", "second"));
  EXPECT_EQ(client.receive().body, "/a first");
  EXPECT_EQ(client.receive().body, "/b second");
  client.send(post_request("/c", "third"));
  EXPECT_EQ(client.receive().body, "/c third");
  const std::string whole = post_request("/e", "one half, other half");
  const size_t half = whole.size() - 10;
  client.send(post_request("/d", "fourth") + whole.substr(0, half));
  EXPECT_EQ(client.receive().body, "/d fourth");
  client.send(whole.substr(half));
  EXPECT_EQ(client.receive().body, "/e one half, other half");
  client.close();
  for (std::thread& thread : threads) thread.join();
}

// The one way to see a client leave is to read on behind its running request.
class LeavingClient : public HttpServerTest, public ::testing::WithParamInterface<size_t> {};

TEST_P(LeavingClient, IsSeenBehindWhatItSentAhead) {
  std::promise<void> gone;
  std::shared_ptr<HttpExchange> unanswered;
  start({}, [&](HttpRequest, std::shared_ptr<HttpExchange> exchange) {
    exchange->on_gone([&gone] { gone.set_value(); });
    unanswered = std::move(exchange);
  });
  HttpClient client(server_->port());
  client.send("GET /never HTTP/1.1\r\n\r\n");
  client.send(std::string(GetParam(), 'x'));
  client.close();
  EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

INSTANTIATE_TEST_SUITE_P(BytesAhead, LeavingClient, ::testing::Values(0, 100'000, 5'000'000));

TEST_F(HttpServerTest, BytesMayArriveOneByOne) {
  start();
  HttpClient client(server_->port());
  for (const char c : post_request("/slow", "abc")) client.send({&c, 1});
  EXPECT_EQ(client.receive().body, "POST /slow? abc");
}

TEST_F(HttpServerTest, ChunkedBodyAndExpectation) {
  start();
  HttpClient client(server_->port());
  client.send(
      "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(client.receive().body, "POST /c? abcde");
  client.send("POST /e HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.receive(true).status, 100);
  client.send("ok");
  EXPECT_EQ(client.receive().body, "POST /e? ok");
}

TEST_F(HttpServerTest, Limits) {
  HttpLimits limits;
  limits.body_bytes = 1000;
  start(limits);
  const auto status_of = [this](const std::string& bytes) {
    HttpClient client(server_->port());
    client.send(bytes);
    const ClientResponse response = client.receive();
    EXPECT_TRUE(response.has_header("Connection: close"));
    EXPECT_TRUE(client.at_end());
    return response.status;
  };
  EXPECT_EQ(status_of(post_request("/", std::string(1001, 'x'))), 413);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"), 413);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
                      std::string(2000, 'x')),
            413);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n"), 431);
  EXPECT_EQ(status_of("nonsense\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), 400);
  HttpClient client(server_->port());
  EXPECT_EQ(client.post("/", std::string(1000, 'x')).status, 200);
}

TEST_F(HttpServerTest, AllBodiesTogetherAreBounded) {
  HttpLimits limits;
  limits.all_bodies_bytes = 1000;
  std::vector<HttpRequest> kept;
  start(limits, [&kept](HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
    const bool keep = request.path == "/keep";
    if (keep) kept.push_back(std::move(request));
    if (request.path == "/drop") kept.clear();
    exchange->respond({200, "text/plain", "ok", {}});
  });
  const auto status_of = [this](const std::string& path, size_t bytes) {
    return HttpClient(server_->port()).post(path, std::string(bytes, 'x')).status;
  };
  EXPECT_EQ(status_of("/", 1001), 503);
  EXPECT_EQ(status_of("/", 1000), 200);
  EXPECT_EQ(status_of("/keep", 600), 200);
  EXPECT_EQ(status_of("/", 500), 503);  // the server still holds the first one's body
  EXPECT_EQ(status_of("/drop", 400), 200);
  HttpClient slow(server_->port());
  const std::string half = post_request("/", std::string(700, 'x'));
  slow.send(half.substr(0, half.size() - 100));
  while (status_of("/", 500) != 503) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  slow.close();
  while (status_of("/", 1000) != 200) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

TEST_F(HttpServerTest, IdleAndSlowClientsAreClosed) {
  HttpLimits limits;
  limits.idle = std::chrono::milliseconds(50);
  limits.read = std::chrono::milliseconds(100);
  start(limits);
  HttpClient idle(server_->port());
  EXPECT_TRUE(idle.at_end());
  HttpClient slow(server_->port());
  slow.send("GET / HT");
  EXPECT_TRUE(slow.at_end());
}

TEST_F(HttpServerTest, ConnectionsAreBounded) {
  HttpLimits limits;
  limits.connections = 2;
  start(limits);
  HttpClient first(server_->port());
  HttpClient second(server_->port());
  EXPECT_EQ(first.get("/").status, 200);
  EXPECT_EQ(second.get("/").status, 200);
  HttpClient third(server_->port());
  EXPECT_EQ(third.receive().status, 503);
  first.close();
  for (int attempt = 0; attempt < 100; ++attempt) {
    HttpClient again(server_->port());
    if (again.get("/").status == 200) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  FAIL() << "the place of a closed connection was not given to another one";
}

TEST_F(HttpServerTest, StreamAndOldProtocol) {
  start({}, [](HttpRequest, std::shared_ptr<HttpExchange> exchange) {
    exchange->begin_stream({200, "text/plain", "one ", {}});
    exchange->write("two ");
    exchange->write("");
    exchange->write("three");
    exchange->end_stream();
    exchange->write("late");
  });
  HttpClient client(server_->port());
  EXPECT_EQ(client.get("/").body, "one two three");
  EXPECT_EQ(client.get("/").body, "one two three");
  HttpClient old(server_->port());
  old.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.receive().body, "one two three");
}

TEST_F(HttpServerTest, LeavingIsNoticedOnce) {
  std::promise<void> gone;
  std::atomic<int> calls = 0;
  std::shared_ptr<HttpExchange> kept;
  start({}, [&](HttpRequest, std::shared_ptr<HttpExchange> exchange) {
    exchange->on_gone([&] {
      if (++calls == 1) gone.set_value();
    });
    exchange->begin_stream({200, "text/plain", "begun", {}});
    kept = std::move(exchange);
  });
  HttpClient client(server_->port());
  client.send("GET / HTTP/1.1\r\n\r\n");
  client.receive_until("begun");
  client.close();
  ASSERT_EQ(gone.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  std::promise<void> written;
  server_->poster()([&] {
    kept->write("into the void");
    kept->end_stream();
    kept = nullptr;
    written.set_value();
  });
  written.get_future().wait();
  EXPECT_EQ(calls, 1);
}

TEST_F(HttpServerTest, AReaderThatDoesNotReadIsCutOff) {
  HttpLimits limits;
  limits.unsent_bytes = 64 << 10;
  std::promise<void> gone;
  start(limits, [&](HttpRequest, std::shared_ptr<HttpExchange> exchange) {
    exchange->on_gone([&] { gone.set_value(); });
    exchange->begin_stream({200, "text/plain", "", {}});
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 64; ++i) exchange->write(block);
  });
  HttpClient client(server_->port());
  client.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(HttpServerTest, ADroppedExchangeClosesTheConnection) {
  start({}, [](HttpRequest, std::shared_ptr<HttpExchange>) {});
  HttpClient client(server_->port());
  client.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(client.at_end());
}

TEST_F(HttpServerTest, StopLetsTheCurrentReplyEnd) {
  std::shared_ptr<HttpExchange> kept;
  std::promise<void> begun;
  start({}, [&](HttpRequest, std::shared_ptr<HttpExchange> exchange) {
    kept = std::move(exchange);
    begun.set_value();
  });
  HttpClient idle(server_->port());
  HttpClient client(server_->port());
  client.send("GET / HTTP/1.1\r\n\r\n");
  begun.get_future().wait();
  server_->stop();
  EXPECT_TRUE(idle.at_end());
  server_->poster()([&] { std::exchange(kept, nullptr)->respond({200, "text/plain", "end", {}}); });
  EXPECT_EQ(client.receive().body, "end");
  EXPECT_TRUE(client.at_end());
  client.close();
  thread_.join();
  server_ = nullptr;
}

// The client connects to 127.0.0.1, whatever address of localhost the system names first.
TEST_F(HttpServerTest, LocalhostIsIpv4) {
  start({}, echo, "localhost");
  EXPECT_EQ(HttpClient(server_->port()).get("/").status, 200);
}

TEST_F(HttpServerTest, ATakenPortIsAnError) {
  start();
  HttpServerOptions options;
  options.port = server_->port();
  const auto second = HttpServer::listen(std::move(options));
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find(":" + std::to_string(server_->port())), std::string::npos);
  HttpServerOptions wrong;
  wrong.host = "no such host";
  EXPECT_FALSE(HttpServer::listen(std::move(wrong)).ok());
}

}  // namespace
}  // namespace gallop::server
