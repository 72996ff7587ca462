// Which handler answers a request: exact paths, or a path whose last segment is free. Also what
// every route shares: the API key, CORS preflight, HEAD, and the errors 401, 404 and 405.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/http_message.h"

namespace gallop::server {

class Router {
 public:
  // `segment` is the decoded rest of the path for routes that end in "/*".
  using Handler = std::function<void(HttpRequest request, std::shared_ptr<HttpExchange> exchange,
                                     std::string segment)>;

  // Without keys every request may pass; with keys those below /v1 need one of them.
  explicit Router(std::vector<std::string> api_keys) : api_keys_(std::move(api_keys)) {}

  void add(std::string method, std::string path, Handler handler);
  void handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange) const;

 private:
  struct Route {
    std::string method;
    std::string path;  // a prefix when `free_segment`
    bool free_segment = false;
    Handler handler;

    bool matches(std::string_view target) const;
  };

  bool authorised(const HttpRequest& request) const;

  std::vector<std::string> api_keys_;
  std::vector<Route> routes_;
};

// Compares in a time that depends on the given key's length alone.
bool equal_keys(std::string_view given, std::string_view expected);

// "%2F" becomes "/"; a malformed escape stays as it is.
std::string percent_decode(std::string_view text);

}  // namespace gallop::server
