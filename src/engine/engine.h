// The engine: an inbox, one thread that owns sequences, caches and backend, and events out.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.h"
#include "cache/index_pool.h"
#include "engine/executor.h"
#include "engine/generator.h"
#include "engine/scheduler.h"
#include "engine/sequence.h"

namespace gallop::engine {

struct EngineLimits {
  ExecutorLimits executor;
  int32_t max_queue = 1024;  // requests that wait; more are refused
};

class Engine : public Generator {
 public:
  // Starts the engine thread. `drafter` may be null; the loaded models and the backend belong to
  // the engine from here on.
  static Result<std::unique_ptr<Engine>> start(std::unique_ptr<model::LoadedModel> target,
                                               std::unique_ptr<model::LoadedDrafter> drafter,
                                               std::unique_ptr<ops::Backend> backend,
                                               const EngineLimits& limits);
  // Cancels what still runs and joins the thread.
  ~Engine() override;

  Result<RequestId> submit(Request request, EventSink sink) override;
  void cancel(RequestId request) override;
  int32_t max_model_len() const override { return limits_.executor.max_model_len; }
  int32_t max_drafts() const override { return limits_.executor.max_block - 1; }
  bool healthy() const override { return healthy_; }
  int64_t preemptions() const { return preemptions_; }

 private:
  Engine(std::unique_ptr<model::LoadedModel> target, std::unique_ptr<model::LoadedDrafter> drafter,
         std::unique_ptr<ops::Backend> backend, std::unique_ptr<Executor> executor,
         const EngineLimits& limits);

  // Engine thread only.
  void loop();
  bool take_inbox();
  Result<void> guarded_step();
  Result<void> step();
  StepPlan plan() const;
  void equip(Sequence& sequence, const SequencePlan& planned);
  void preempt(Sequence& sequence);
  void commit(Sequence& sequence, const StepOutcome& outcome);
  void finish(Sequence& sequence, TokenEvent event);
  void finish_all(FinishReason reason, const std::string& error);
  bool stops(const Sequence& sequence, int32_t token) const;
  void drop_finished();

  EngineLimits limits_;
  std::unique_ptr<model::LoadedModel> target_;
  std::unique_ptr<model::LoadedDrafter> drafter_;
  std::unique_ptr<ops::Backend> backend_;
  std::unique_ptr<Executor> executor_;

  // Owned by the engine thread.
  std::vector<std::unique_ptr<Sequence>> sequences_;  // in order of arrival
  cache::IndexPool pages_;
  cache::IndexPool slots_;

  // The inbox, shared under mutex_.
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::unique_ptr<Sequence>> submitted_;
  std::vector<RequestId> cancelled_;
  RequestId next_id_ = 1;
  int32_t waiting_ = 0;  // submitted or preempted, not running
  bool stop_ = false;

  std::atomic<int64_t> preemptions_ = 0;
  std::atomic<bool> healthy_ = true;
  std::thread thread_;
};

}  // namespace gallop::engine
