// POST /v1/chat/completions: request > prompt > engine, and the requests that are under way.
// JSON, template and tokenizer run on one worker thread, everything else on the I/O thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/generator.h"
#include "server/chat_session.h"
#include "server/http_message.h"
#include "server/http_server.h"
#include "server/sampling_defaults.h"
#include "server/task_thread.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace gallop::server {

// The text side of a model directory.
struct ChatModel {
  text::Tokenizer tokenizer;
  text::ChatTemplate chat_template;
  SamplingDefaults defaults;

  static Result<ChatModel> load(const std::filesystem::path& directory);
};

class ChatService {
 public:
  struct Options {
    std::vector<std::string> model_names;  // at least one; the first is the one replies name
    int32_t drafts = 0;                    // speculative tokens per step
  };

  // Model and generator must outlive the service; the generator may call sinks after its end.
  ChatService(const ChatModel& model, engine::Generator& generator, Poster poster, Options options);

  void handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange);

  // From now on requests get 503. `drained` is called when the last one under way has ended, at
  // once when there is none.
  void stop_accepting(std::function<void()> drained);
  // Ends every request under way with an error.
  void abort_all();

  bool accepting() const { return accepting_; }

 private:
  Result<PreparedChat> prepare(const std::string& body) const;
  void set_max_tokens(PreparedChat& chat) const;
  void start(const std::shared_ptr<ChatSession>& session, Result<PreparedChat> prepared);
  void forget(uint64_t number);

  const ChatModel& model_;
  engine::Generator& generator_;
  Poster poster_;
  Options options_;
  bool accepting_ = true;
  std::function<void()> drained_;
  uint64_t next_number_ = 0;
  std::unordered_map<uint64_t, std::shared_ptr<ChatSession>> sessions_;
  TaskThread worker_;  // last: its tasks read the members above
};

}  // namespace gallop::server
