#include "engine/engine.h"

#include <algorithm>
#include <new>

#include <fmt/format.h>

#include "base/log.h"
#include "cache/page_math.h"
#include "engine/request_check.h"

namespace gallop::engine {
namespace {

// Tokens a sequence may come to hold: the prompt and all it may generate.
int32_t longest(const Request& request, int32_t max_model_len) {
  const auto prompt = static_cast<int32_t>(request.prompt.size());
  return request.max_tokens == 0 ? max_model_len : prompt + request.max_tokens;
}

SequenceState state_of(const Sequence& sequence) {
  return {.priority = sequence.request.priority,
          .running = sequence.running(),
          .prompt = sequence.prompt_tokens(),
          .tokens = static_cast<int32_t>(sequence.tokens.size()),
          .cached = sequence.cached,
          .drafts = sequence.request.drafts,
          .pages = static_cast<int32_t>(sequence.pages.size())};
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::start(std::unique_ptr<model::LoadedModel> target,
                                              std::unique_ptr<model::LoadedDrafter> drafter,
                                              std::unique_ptr<ops::Backend> backend,
                                              const EngineLimits& limits) {
  ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor,
                   Executor::create(*target, drafter.get(), limits.executor, *backend));
  std::unique_ptr<Engine> engine(new Engine(std::move(target), std::move(drafter),
                                            std::move(backend), std::move(executor), limits));
  engine->thread_ = std::thread([raw = engine.get()] { raw->loop(); });
  return engine;
}

Engine::Engine(std::unique_ptr<model::LoadedModel> target,
               std::unique_ptr<model::LoadedDrafter> drafter, std::unique_ptr<ops::Backend> backend,
               std::unique_ptr<Executor> executor, const EngineLimits& limits)
    : limits_(limits),
      target_(std::move(target)),
      drafter_(std::move(drafter)),
      backend_(std::move(backend)),
      executor_(std::move(executor)),
      pages_(limits.executor.pages),
      slots_(limits.executor.max_num_seqs) {}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  arrived_.notify_one();
  if (thread_.joinable()) thread_.join();  // else it could not be started
}

Result<RequestId> Engine::submit(Request request, EventSink sink) {
  RETURN_IF_ERROR(check_request(request, {.vocab = static_cast<int32_t>(target_->config.vocab),
                                          .vocab_limit = limits_.executor.vocab_limit,
                                          .max_model_len = max_model_len(),
                                          .max_drafts = max_drafts()}));
  auto sequence = std::make_unique<Sequence>();
  sequence->tokens = request.prompt;
  sequence->request = std::move(request);
  sequence->sink = std::move(sink);
  const int32_t needed = cache::pages_for(longest(sequence->request, max_model_len()));
  if (needed > pages_.capacity()) {
    return Error{
        fmt::format("the request may need {} cache pages, there are {}", needed, pages_.capacity()),
        ErrorCode::kTooLarge, "max_tokens"};
  }
  const std::lock_guard lock(mutex_);
  if (stop_ || !healthy_) return Error{"the engine has stopped", ErrorCode::kUnavailable};
  if (waiting_ >= limits_.max_queue) {
    return Error{fmt::format("{} requests are waiting already", waiting_), ErrorCode::kUnavailable};
  }
  ++waiting_;
  sequence->id = next_id_++;
  const RequestId id = sequence->id;
  submitted_.push_back(std::move(sequence));
  arrived_.notify_one();
  return id;
}

void Engine::cancel(RequestId request) {
  const std::lock_guard lock(mutex_);
  cancelled_.push_back(request);
  arrived_.notify_one();
}

void Engine::loop() {
  while (take_inbox()) {
    if (const Result<void> done = guarded_step(); !done.ok()) {
      log_error("engine: " + done.error().message);
      healthy_ = false;
      finish_all(FinishReason::kError, done.error().message);
    }
  }
  healthy_ = false;
  finish_all(FinishReason::kCancelled, "");
}

// Moves new requests and cancellations in; sleeps while there is nothing to run. False: the end.
bool Engine::take_inbox() {
  std::vector<RequestId> cancelled;
  {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] {
      return stop_ || !sequences_.empty() || !submitted_.empty() || !cancelled_.empty();
    });
    if (stop_) return false;
    for (auto& sequence : submitted_) sequences_.push_back(std::move(sequence));
    submitted_.clear();
    cancelled.swap(cancelled_);
  }
  for (const RequestId id : cancelled) {
    for (auto& sequence : sequences_) {
      if (sequence->id == id) {
        finish(*sequence, {.request = id, .finish = FinishReason::kCancelled});
      }
    }
  }
  drop_finished();
  return true;
}

// Out of memory ends what runs, not the program.
Result<void> Engine::guarded_step() try { return step(); } catch (const std::bad_alloc&) {
  return Error{"out of memory", ErrorCode::kInternal};
}

Result<void> Engine::step() {
  const StepPlan step_plan = plan();
  if (step_plan.empty()) return {};
  std::vector<Sequence*> list;
  for (const auto& sequence : sequences_) list.push_back(sequence.get());
  for (const size_t i : step_plan.preempted) preempt(*list[i]);
  for (const SequencePlan& planned : step_plan.sequences) equip(*list[planned.sequence], planned);
  ASSIGN_OR_RETURN(const std::vector<StepOutcome> outcomes, executor_->execute(step_plan, list));
  for (size_t i = 0; i < outcomes.size(); ++i) {
    commit(*list[step_plan.sequences[i].sequence], outcomes[i]);
  }
  drop_finished();
  return {};
}

StepPlan Engine::plan() const {
  std::vector<SequenceState> states;
  for (const auto& sequence : sequences_) states.push_back(state_of(*sequence));
  return plan_step(states, {.max_num_seqs = limits_.executor.max_num_seqs,
                            .max_num_batched_tokens = limits_.executor.max_num_batched_tokens,
                            .max_prompt_tokens = limits_.executor.max_prompt_tokens,
                            .max_block = limits_.executor.max_block,
                            .free_pages = pages_.available(),
                            .free_slots = slots_.available()});
}

// Slot and pages of a step's rows: the scheduler knows that they are free.
void Engine::equip(Sequence& sequence, const SequencePlan& planned) {
  CHECK(pages_.acquire(planned.new_pages, sequence.pages));
  if (!planned.admit) return;
  CHECK(slots_.acquire(1, sequence.state_slots));
  const std::lock_guard lock(mutex_);
  --waiting_;
}

// It starts again from its first token once it is admitted again; its client sees no difference.
void Engine::preempt(Sequence& sequence) {
  pages_.release(sequence.pages);
  slots_.release(sequence.state_slots);
  sequence.cached = 0;
  sequence.fold = 0;
  ++preemptions_;
  const std::lock_guard lock(mutex_);
  ++waiting_;
}

// Takes a step's outcome in: tokens up to the first that ends the request, or that is none.
void Engine::commit(Sequence& sequence, const StepOutcome& outcome) {
  const bool was_prompt = sequence.in_prompt();
  sequence.cached += outcome.committed;
  sequence.fold = was_prompt ? 0 : outcome.committed;
  if (outcome.tokens.empty()) return;
  TokenEvent event{.request = sequence.id, .from_prefill = was_prompt};
  const int32_t limit = longest(sequence.request, max_model_len());
  for (const int32_t token : outcome.tokens) {
    if (token == ops::kNoToken) {
      event.finish = FinishReason::kError;
      event.error =
          fmt::format("the model's logits are NaN at position {}", sequence.tokens.size());
      break;
    }
    sequence.tokens.push_back(token);
    event.tokens.push_back(token);
    if (stops(sequence, token)) {
      event.finish = FinishReason::kStop;
    } else if (static_cast<int32_t>(sequence.tokens.size()) >= limit) {
      event.finish = FinishReason::kLength;
    }
    if (event.finish) break;
  }
  if (event.finish) {
    finish(sequence, std::move(event));
  } else {
    sequence.sink(std::move(event));
  }
}

bool Engine::stops(const Sequence& sequence, int32_t token) const {
  const auto holds = [token](const std::vector<int32_t>& ids) {
    return std::find(ids.begin(), ids.end(), token) != ids.end();
  };
  return (!sequence.request.ignore_eos && holds(limits_.executor.stop_ids)) ||
         holds(sequence.request.stop_token_ids);
}

// Gives pages and slot back and tells the client; drop_finished() removes the sequence itself.
void Engine::finish(Sequence& sequence, TokenEvent event) {
  if (!sequence.sink) return;
  if (!sequence.running()) {
    const std::lock_guard lock(mutex_);
    --waiting_;
  }
  pages_.release(sequence.pages);
  slots_.release(sequence.state_slots);
  const EventSink sink = std::exchange(sequence.sink, nullptr);
  sink(std::move(event));
}

void Engine::finish_all(FinishReason reason, const std::string& error) {
  {
    const std::lock_guard lock(mutex_);
    for (auto& sequence : submitted_) sequences_.push_back(std::move(sequence));
    submitted_.clear();
  }
  for (auto& sequence : sequences_) {
    finish(*sequence, {.request = sequence->id, .finish = reason, .error = error});
  }
  drop_finished();
}

void Engine::drop_finished() {
  std::erase_if(sequences_, [](const auto& sequence) { return sequence->sink == nullptr; });
}

}  // namespace gallop::engine
