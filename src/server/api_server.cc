#include "server/api_server.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "server/api_error.h"

namespace gallop {
extern const std::string_view kChatPage;  // chat_page.html, embedded by the build
}

namespace gallop::server {
namespace {

// The page needs nothing but itself and this server.
constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

HttpResponse chat_page() {
  HttpResponse response;
  response.content_type = "text/html; charset=utf-8";
  response.body = std::string(kChatPage);
  response.headers = {{"Content-Security-Policy", kPagePolicy}, {"Cache-Control", "no-cache"}};
  return response;
}

}  // namespace

Result<std::unique_ptr<ApiServer>> ApiServer::listen(ApiServerOptions options,
                                                     const ChatModel& model,
                                                     engine::Generator& generator) {
  HttpServerOptions http_options;
  http_options.host = options.host;
  http_options.port = options.port;
  http_options.limits = options.limits;
  http_options.headers = {{"Access-Control-Allow-Origin", "*"}};
  http_options.error_response = [](int status, std::string message) {
    return error_response(http_error(status, std::move(message)));
  };
  ASSIGN_OR_RETURN(auto http, HttpServer::listen(std::move(http_options)));
  std::unique_ptr<ApiServer> server(new ApiServer(std::move(options), generator, std::move(http)));
  server->chat_ = std::make_unique<ChatService>(
      model, generator, server->http_->poster(),
      ChatService::Options{server->options_.model_names, server->options_.drafts});
  server->add_routes();
  server->add_model_routes();
  return server;
}

ApiServer::ApiServer(ApiServerOptions options, engine::Generator& generator,
                     std::unique_ptr<HttpServer> http)
    : options_(std::move(options)),
      generator_(generator),
      started_(static_cast<int64_t>(std::time(nullptr))),
      http_(std::move(http)),
      router_(options_.api_keys) {}

void ApiServer::add_routes() {
  const auto health = [this](const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange,
                             const std::string&) {
    HttpResponse response;
    response.status = generator_.healthy() && chat_->accepting() ? 200 : 503;
    exchange->respond(std::move(response));
  };
  router_.add("GET", "/health", health);
  router_.add("GET", "/ping", health);
  router_.add("POST", "/ping", health);
  router_.add(
      "GET", "/version",
      [](const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange, const std::string&) {
        exchange->respond(json_response(Json{{"version", GALLOP_VERSION}}));
      });
  router_.add("GET", "/",
              [](const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange,
                 const std::string&) { exchange->respond(chat_page()); });
  router_.add(
      "POST", "/v1/chat/completions",
      [this](HttpRequest request, std::shared_ptr<HttpExchange> exchange, const std::string&) {
        chat_->handle(std::move(request), std::move(exchange));
      });
}

void ApiServer::add_model_routes() {
  const auto card = [this](const std::string& name) {
    return model_card(name, options_.model_root, started_, generator_.max_model_len());
  };
  router_.add("GET", "/v1/models",
              [this, card](const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange,
                           const std::string&) {
                Json list{{"object", "list"}, {"data", Json::array()}};
                for (const std::string& name : options_.model_names) {
                  list["data"].push_back(card(name));
                }
                exchange->respond(json_response(list));
              });
  router_.add("GET", "/v1/models/*",
              [this, card](const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange,
                           const std::string& name) {
                const auto& names = options_.model_names;
                if (std::find(names.begin(), names.end(), name) == names.end()) {
                  exchange->respond(
                      error_response({404, fmt::format("The model `{}` does not exist.", name),
                                      "NotFoundError", "model"}));
                  return;
                }
                exchange->respond(json_response(card(name)));
              });
}

void ApiServer::handle_signals() {
  http_->on_signal([this] {
    log_info("shutting down");
    begin_shutdown();
  });
}

void ApiServer::run() {
  http_->run([this](HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
    router_.handle(std::move(request), std::move(exchange));
  });
}

void ApiServer::shut_down() {
  http_->poster()([this] { begin_shutdown(); });
}

void ApiServer::begin_shutdown() {
  if (!chat_->accepting()) return;
  chat_->stop_accepting([this] { http_->stop(); });
  if (options_.shutdown_timeout.count() == 0) {
    chat_->abort_all();
  } else {
    http_->run_after(options_.shutdown_timeout, [this] { chat_->abort_all(); });
  }
}

}  // namespace gallop::server
