#include "server/router.h"

#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"
#include "server/api_error.h"

namespace gallop::server {
namespace {

constexpr std::string_view kGuarded = "/v1";
constexpr std::string_view kBearer = "bearer ";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view bearer_token(std::string_view header) {
  if (lower_case(header.substr(0, kBearer.size())) != kBearer) return {};
  return header.substr(kBearer.size());
}

// A browser asks before it sends a request from another origin.
HttpResponse preflight_response(const HttpRequest& request) {
  HttpResponse response;
  std::string wanted(request.header("access-control-request-headers"));
  if (wanted.empty()) wanted = "*";
  response.headers = {{"Access-Control-Allow-Methods", "GET, POST, OPTIONS"},
                      {"Access-Control-Allow-Headers", wanted},
                      {"Access-Control-Max-Age", "600"}};
  return response;
}

}  // namespace

bool Router::Route::matches(std::string_view target) const {
  if (!free_segment) return target == path;
  return target.size() > path.size() && target.starts_with(path);
}

void Router::add(std::string method, std::string path, Handler handler) {
  const bool free_segment = path.ends_with("/*");
  if (free_segment) path.pop_back();
  routes_.push_back({std::move(method), std::move(path), free_segment, std::move(handler)});
}

void Router::handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange) const {
  if (request.method == "OPTIONS") {
    exchange->respond(preflight_response(request));
    return;
  }
  if (request.path.starts_with(kGuarded) && !authorised(request)) {
    HttpResponse response = json_response(Json{{"error", "Unauthorized"}}, 401);
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    exchange->respond(std::move(response));
    return;
  }
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  std::string allowed;
  for (const Route& route : routes_) {
    if (!route.matches(request.path)) continue;
    if (route.method == method) {
      std::string segment;
      if (route.free_segment) segment = percent_decode(request.path.substr(route.path.size()));
      route.handler(std::move(request), std::move(exchange), std::move(segment));
      return;
    }
    allowed += (allowed.empty() ? "" : ", ") + route.method;
  }
  if (allowed.empty()) {
    exchange->respond(error_response(http_error(404, "Not Found")));
    return;
  }
  HttpResponse response = error_response(http_error(405, "Method Not Allowed"));
  response.headers.emplace_back("Allow", allowed);
  exchange->respond(std::move(response));
}

// Either header may hold the key: some clients send both, with different values.
bool Router::authorised(const HttpRequest& request) const {
  if (api_keys_.empty()) return true;
  bool found = false;
  for (const std::string_view given :
       {bearer_token(request.header("authorization")), request.header("x-api-key")}) {
    for (const std::string& key : api_keys_) found |= equal_keys(given, key);
  }
  return found;
}

bool equal_keys(std::string_view given, std::string_view expected) {
  if (expected.empty()) return false;
  size_t difference = given.size() ^ expected.size();
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ expected[i % expected.size()]);
  }
  return difference == 0;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace gallop::server
