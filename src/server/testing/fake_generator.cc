#include "server/testing/fake_generator.h"

#include <utility>

namespace gallop::server::testing {

FakeGenerator::~FakeGenerator() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void FakeGenerator::set_script(FakeScript script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
}

void FakeGenerator::set_refusal(Error refusal) {
  const std::lock_guard lock(mutex_);
  refusal_ = std::move(refusal);
}

void FakeGenerator::set_healthy(bool healthy) {
  const std::lock_guard lock(mutex_);
  healthy_ = healthy;
}

std::vector<engine::Request> FakeGenerator::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

bool FakeGenerator::wait_for_cancelled(size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10),
                           [&] { return cancelled_.size() >= count; });
}

Result<engine::RequestId> FakeGenerator::submit(engine::Request request, engine::EventSink sink) {
  const std::lock_guard lock(mutex_);
  if (!refusal_.message.empty()) return refusal_;
  requests_.push_back(std::move(request));
  const engine::RequestId id = requests_.size();
  threads_.emplace_back(
      [this, id, script = script_, sink = std::move(sink)] { play(id, script, sink); });
  return id;
}

void FakeGenerator::cancel(engine::RequestId request) {
  {
    const std::lock_guard lock(mutex_);
    cancelled_.insert(request);
  }
  changed_.notify_all();
}

bool FakeGenerator::healthy() const {
  const std::lock_guard lock(mutex_);
  return healthy_;
}

void FakeGenerator::play(engine::RequestId id, const FakeScript& script,
                         const engine::EventSink& sink) {
  for (size_t step = 0; step < script.steps.size(); ++step) {
    engine::TokenEvent event;
    event.request = id;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, script.delay, [&] { return ending_ || cancelled_.contains(id); });
      if (ending_) return;
      if (cancelled_.contains(id)) event.finish = engine::FinishReason::kCancelled;
    }
    if (!event.finish) {
      event.tokens = script.steps[step];
      event.from_prefill = step == 0;
      if (step + 1 == script.steps.size()) event.finish = script.finish;
      event.error = event.finish ? script.error : "";
    }
    const bool last = event.finish.has_value();
    sink(std::move(event));
    if (last) return;
  }
}

}  // namespace gallop::server::testing
