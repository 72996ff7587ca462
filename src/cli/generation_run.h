// Follows one request through the engine and keeps what it produced.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "cli/generation_request.h"
#include "engine/generator.h"
#include "text/detokenizer.h"
#include "text/stop_matcher.h"

namespace gallop::cli {

class GenerationRun {
 public:
  // Submits the request; `tokenizer` may be null (then there is no text and no stop string).
  static Result<std::unique_ptr<GenerationRun>> start(engine::Generator& generator,
                                                      GenerationRequest request,
                                                      const text::Tokenizer* tokenizer);
  // Cancels the request and waits for its end: the engine holds a pointer to this until then.
  ~GenerationRun();
  GenerationRun(const GenerationRun&) = delete;
  GenerationRun& operator=(const GenerationRun&) = delete;

  // Asks for an early end; what came so far stays.
  void cancel();
  // Blocks until the request has ended.
  void wait();

  // The --json object but for `timings.load_ms`; or an error when the engine failed.
  Result<Json> json() const;
  const std::string& text() const { return text_; }

 private:
  using Clock = std::chrono::steady_clock;

  GenerationRun(engine::Generator& generator, GenerationRequest request,
                const text::Tokenizer* tokenizer);
  // Both on the engine thread, which so does the text's work here; a server's does not.
  void take(engine::TokenEvent event);
  bool take_token(int32_t token, bool last, bool stop_token);

  engine::Generator& generator_;
  GenerationRequest request_;
  engine::RequestId id_ = 0;  // 0: the engine took no request
  std::optional<text::Detokenizer> detokenizer_;
  text::StopMatcher matcher_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  bool matched_ = false;  // a stop string ended the text; what still comes is dropped
  std::vector<int32_t> tokens_;
  std::vector<int32_t> accepted_per_step_;
  std::string text_;
  std::string finish_reason_;
  std::string error_;
  Clock::time_point submitted_;
  Clock::time_point first_token_;
  Clock::time_point last_token_;
};

}  // namespace gallop::cli
