#include "server/http_server.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>

#include "base/log.h"
#include "server/http_connection.h"

namespace gallop::server {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using BoostError = boost::system::error_code;

constexpr int kBacklog = 4096;
// How long to wait when the process is out of file descriptors.
constexpr std::chrono::milliseconds kAcceptRetry{100};

struct HttpServer::State {
  explicit State(HttpServerOptions server_options)
      : options(std::move(server_options)),
        bodies(std::make_shared<BodyBudget>(options.limits.all_bodies_bytes)),
        context(std::make_shared<asio::io_context>(1)),
        acceptor(*context),
        signals(*context),
        drain_timer(*context),
        work(asio::make_work_guard(*context)) {}

  HttpServerOptions options;
  std::shared_ptr<BodyBudget> bodies;
  std::shared_ptr<asio::io_context> context;
  Tcp::acceptor acceptor;
  asio::signal_set signals;
  asio::steady_timer drain_timer;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  HttpHandler handler;
  std::function<void()> on_signal;
  int signals_seen = 0;
  bool stopping = false;
  std::unordered_set<std::shared_ptr<HttpConnection>> connections;

  Result<void> open();
  BoostError open(const Tcp::endpoint& endpoint);
  void accept();
  void accepted(Tcp::socket socket);
  void wait_for_signal();
  void stop(std::chrono::milliseconds drain);
  void end_if_drained();
};

// A name may stand for several addresses, as localhost does: the first that can be had, IPv4 before
// IPv6, because what clients take for granted is 127.0.0.1.
Result<void> HttpServer::State::open() {
  const auto failed = [this](const BoostError& error) {
    return Error{
        fmt::format("cannot listen on {}:{}: {}", options.host, options.port, error.message()),
        gallop::ErrorCode::kUnavailable, "port"};
  };
  BoostError error;
  Tcp::resolver resolver(*context);
  const auto found =
      resolver.resolve(options.host, std::to_string(options.port), Tcp::resolver::passive, error);
  if (error) return failed(error);
  std::vector<Tcp::endpoint> endpoints;
  for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  std::stable_partition(endpoints.begin(), endpoints.end(), [](const Tcp::endpoint& endpoint) {
    return endpoint.protocol() == Tcp::v4();
  });
  for (const Tcp::endpoint& endpoint : endpoints) {
    error = open(endpoint);
    if (!error) return {};
    // The next address would do, and the clients would talk to whoever has this one.
    if (error == asio::error::address_in_use) break;
  }
  return failed(error);
}

BoostError HttpServer::State::open(const Tcp::endpoint& endpoint) {
  BoostError error;
  if (acceptor.is_open()) acceptor.close(error);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  return error;
}

void HttpServer::State::accept() {
  acceptor.async_accept([this](const BoostError& error, Tcp::socket socket) {
    if (stopping || error == asio::error::operation_aborted) return;
    if (!error) {
      accepted(std::move(socket));
      accept();
      return;
    }
    log_warning("accept: " + error.message());
    auto timer = std::make_shared<asio::steady_timer>(*context, kAcceptRetry);
    timer->async_wait([this, timer](const BoostError&) {
      if (!stopping) accept();
    });
  });
}

void HttpServer::State::accepted(Tcp::socket socket) {
  const auto connection =
      std::make_shared<HttpConnection>(std::move(socket), options, bodies, handler,
                                       [this](const std::shared_ptr<HttpConnection>& closed) {
                                         connections.erase(closed);
                                         end_if_drained();
                                       });
  connections.insert(connection);
  if (connections.size() > options.limits.connections) {
    connection->refuse(
        503, fmt::format("More than {} connections are open.", options.limits.connections));
  } else {
    connection->start();
  }
}

void HttpServer::State::wait_for_signal() {
  signals.async_wait([this](const BoostError& error, int) {
    if (error) return;
    if (++signals_seen > 1) std::_Exit(1);
    wait_for_signal();
    on_signal();
  });
}

void HttpServer::State::stop(std::chrono::milliseconds drain) {
  if (stopping) return;
  stopping = true;
  BoostError ignored;  // it is closed either way
  acceptor.close(ignored);
  const auto open = connections;
  for (const auto& connection : open) connection->finish();
  drain_timer.expires_after(drain);
  drain_timer.async_wait([this](const BoostError& error) {
    if (error) return;
    const auto slow = connections;
    for (const auto& connection : slow) connection->close();
  });
  end_if_drained();
}

void HttpServer::State::end_if_drained() {
  if (stopping && connections.empty()) context->stop();
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(HttpServerOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  RETURN_IF_ERROR(state->open());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  state_->stopping = true;
  const auto open = state_->connections;
  for (const auto& connection : open) connection->close();
}

uint16_t HttpServer::port() const {
  BoostError error;
  const Tcp::endpoint endpoint = state_->acceptor.local_endpoint(error);
  return error ? state_->options.port : endpoint.port();
}

Poster HttpServer::poster() const {
  return [context = state_->context](std::function<void()> function) {
    asio::post(*context, std::move(function));
  };
}

void HttpServer::run_after(std::chrono::milliseconds delay, std::function<void()> function) {
  auto timer = std::make_shared<asio::steady_timer>(*state_->context, delay);
  timer->async_wait([timer, function = std::move(function)](const BoostError& error) {
    if (!error) function();
  });
}

void HttpServer::on_signal(std::function<void()> function) {
  state_->on_signal = std::move(function);
  for (const int signal : {SIGTERM, SIGINT}) {
    BoostError error;
    state_->signals.add(signal, error);
    if (error) log_warning("signal handler: " + error.message());
  }
  state_->wait_for_signal();
}

void HttpServer::run(HttpHandler handler) {
  state_->handler = std::move(handler);
  state_->accept();
  // One request's failure (out of memory) must not end the others: its exchange is dropped, which
  // closes its connection.
  for (bool again = true; again;) {
    try {
      state_->context->run();
      again = false;
    } catch (const std::exception& error) {
      log_error(fmt::format("request failed: {}", error.what()));
    }
  }
}

void HttpServer::stop(std::chrono::milliseconds drain) {
  asio::post(*state_->context, [state = state_.get(), drain] { state->stop(drain); });
}

}  // namespace gallop::server
