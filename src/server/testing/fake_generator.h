// A scripted engine: each request gets the tokens of the script, step by step, from a thread of its
// own. Records what it was asked.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/generator.h"

namespace gallop::server::testing {

struct FakeScript {
  std::vector<std::vector<int32_t>> steps;
  engine::FinishReason finish = engine::FinishReason::kStop;  // comes with the last step
  std::string error;
  std::chrono::milliseconds delay{0};  // before each step
};

class FakeGenerator : public engine::Generator {
 public:
  explicit FakeGenerator(int32_t max_model_len = 2048) : max_model_len_(max_model_len) {}
  ~FakeGenerator() override;

  // Requests submitted from now on follow this script.
  void set_script(FakeScript script);
  // Submissions from now on fail with this error; an empty message: they succeed.
  void set_refusal(Error refusal);
  void set_healthy(bool healthy);

  std::vector<engine::Request> requests() const;
  // Waits at most ten seconds for so many cancelled requests; false when there are fewer.
  bool wait_for_cancelled(size_t count);

  Result<engine::RequestId> submit(engine::Request request, engine::EventSink sink) override;
  void cancel(engine::RequestId request) override;
  int32_t max_model_len() const override { return max_model_len_; }
  int32_t max_drafts() const override { return 15; }
  bool healthy() const override;

 private:
  void play(engine::RequestId id, const FakeScript& script, const engine::EventSink& sink);

  int32_t max_model_len_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  FakeScript script_;
  Error refusal_;
  bool healthy_ = true;
  bool ending_ = false;
  std::vector<engine::Request> requests_;
  std::set<engine::RequestId> cancelled_;
  std::vector<std::thread> threads_;
};

}  // namespace gallop::server::testing
