// The API as a whole: HTTP server, routes, chat service, and how it ends. Owns neither the model
// nor the engine.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/generator.h"
#include "server/chat_service.h"
#include "server/http_server.h"
#include "server/router.h"

namespace gallop::server {

struct ApiServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8000;  // 0: any free one
  HttpLimits limits;
  std::vector<std::string> api_keys;     // empty: everyone may ask
  std::vector<std::string> model_names;  // at least one; the first is the default
  std::string model_root;                // what the model card calls its origin
  int32_t drafts = 0;                    // speculative tokens per step
  std::chrono::milliseconds shutdown_timeout{0};
};

class ApiServer {
 public:
  // Binds the port. Model and generator must outlive the server.
  static Result<std::unique_ptr<ApiServer>> listen(ApiServerOptions options, const ChatModel& model,
                                                   engine::Generator& generator);

  uint16_t port() const { return http_->port(); }

  // SIGTERM and SIGINT shut down; a second one ends the process at once.
  void handle_signals();

  // Serves until shut_down(): new requests then get 503, those under way may finish within the
  // shutdown timeout, the rest ends with an error.
  void run();
  // Safe from any thread.
  void shut_down();

 private:
  ApiServer(ApiServerOptions options, engine::Generator& generator,
            std::unique_ptr<HttpServer> http);

  void add_routes();
  void add_model_routes();
  void begin_shutdown();

  ApiServerOptions options_;
  engine::Generator& generator_;
  int64_t started_;  // seconds since 1970
  std::unique_ptr<HttpServer> http_;
  Router router_;
  std::unique_ptr<ChatService> chat_;
};

}  // namespace gallop::server
