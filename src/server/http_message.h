// HTTP requests and replies as plain values, and the exchange through which one request is
// answered. No JSON, no sockets.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/body_budget.h"

namespace gallop::server {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;   // as sent, e.g. "POST"
  std::string path;     // before '?', still percent-encoded
  std::string query;    // after '?'
  HttpHeaders headers;  // names in lower case
  std::string body;
  std::shared_ptr<const BodyLease> body_lease;  // to be dropped together with the body

  // The first header of that (lower case) name; empty when there is none.
  std::string_view header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }
};

struct HttpResponse {
  int status = 200;
  std::string content_type;  // empty: no such header
  std::string body;
  HttpHeaders headers;
  bool close = false;  // the connection ends after this reply
};

// The answer to one request: either respond() once, or begin_stream(), write() any number of times,
// end_stream(). Calls after the end, or after the client has gone, do nothing. I/O thread only.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  virtual void respond(HttpResponse response) = 0;
  // Sends the head; `response.body` is the first part of the stream.
  virtual void begin_stream(HttpResponse response) = 0;
  virtual void write(std::string_view bytes) = 0;
  virtual void end_stream() = 0;

  // Called at most once, when the client goes away before the answer's end.
  virtual void on_gone(std::function<void()> callback) = 0;
};

}  // namespace gallop::server
