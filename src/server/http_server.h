// The HTTP/1.1 listener: one I/O thread holds all connections. Knows limits, keep-alive and
// pipelining (answered in order), nothing of JSON or of what is served. Everything but stop() and
// the poster belongs to the thread that calls run().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/http_message.h"

namespace gallop::server {

struct HttpLimits {
  size_t head_bytes = 64 << 10;             // request line and headers: else 431
  size_t body_bytes = 16 << 20;             // else 413
  size_t all_bodies_bytes = 256 << 20;      // held of all connections together: else 503
  size_t pipelined_bytes = 256 << 10;       // sent behind a request that is answered: cut off
  size_t unsent_bytes = 4 << 20;            // a reader that is further behind is cut off
  size_t connections = 1024;                // further ones get 503
  std::chrono::milliseconds idle{75'000};   // between requests
  std::chrono::milliseconds read{60'000};   // from a request's first byte to its last
  std::chrono::milliseconds write{30'000};  // for one write to make its way
};

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;  // 0: any free one
  HttpLimits limits;
  HttpHeaders headers;  // added to every reply
  // The reply to a request that never becomes one: malformed, too large, too many connections.
  std::function<HttpResponse(int status, std::string message)> error_response;
};

using HttpHandler = std::function<void(HttpRequest, std::shared_ptr<HttpExchange>)>;

// Runs a function on the I/O thread, soon; safe from any thread, also after the server has gone
// (then nothing happens).
using Poster = std::function<void(std::function<void()>)>;

class HttpServer {
 public:
  // Binds and listens; an error names host, port and the system's reason.
  static Result<std::unique_ptr<HttpServer>> listen(HttpServerOptions options);
  ~HttpServer();

  uint16_t port() const;
  Poster poster() const;

  // Calls `function` on the I/O thread after `delay`, unless the server has ended by then.
  void run_after(std::chrono::milliseconds delay, std::function<void()> function);

  // SIGTERM and SIGINT call `function` on the I/O thread; a second one ends the process with exit
  // code 1 at once.
  void on_signal(std::function<void()> function);

  // Serves until stop(), then until the open replies are sent (at most `drain`).
  void run(HttpHandler handler);
  // No new connections; each open one ends with its current reply. Safe from any thread.
  void stop(std::chrono::milliseconds drain = std::chrono::milliseconds(5'000));

  struct State;

 private:
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace gallop::server
