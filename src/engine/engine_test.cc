// The engine on models/foal: greedy tokens and accepted counts equal to what PyTorch made.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "cache/page_math.h"
#include "engine/engine.h"
#include "ops/testing/wrapped_cpu.h"

namespace gallop::engine {
namespace {

const std::filesystem::path kFoal = GALLOP_SOURCE_DIR "/models/foal";

Json load_foal(const std::string& path) {
  Result<Json> json = load_json_file(kFoal / path);
  EXPECT_TRUE(json.ok()) << json.error().message;
  return std::move(json).value();
}

Json reference(const std::string& name) { return load_foal("reference/" + name); }

// The ids that end an answer, and where the rows begin that no token of foal's has.
struct Vocabulary {
  std::vector<int32_t> stop_ids = load_foal("reference/greedy.json")["stop_ids"];
  int32_t limit = 0;
  Vocabulary() {
    const Json tokenizer = load_foal("target/tokenizer.json");
    for (const Json& token : tokenizer["added_tokens"]) {
      limit = std::max(limit, token["id"].get<int32_t>() + 1);
    }
  }
};

EngineLimits foal_limits(int32_t max_num_seqs, int32_t chunk, int32_t block = 16) {
  static const Vocabulary vocabulary;
  ExecutorLimits limits{.max_num_seqs = max_num_seqs,
                        .max_num_batched_tokens = chunk + max_num_seqs * block,
                        .max_prompt_tokens = chunk,
                        .max_block = block,
                        .max_model_len = 1024,
                        .vocab_limit = vocabulary.limit,
                        .stop_ids = vocabulary.stop_ids};
  limits.pages = max_num_seqs * limits.max_pages_per_sequence();
  return {.executor = limits};
}

struct Foal {
  std::unique_ptr<model::LoadedModel> target;
  std::unique_ptr<model::LoadedDrafter> drafter;

  explicit Foal(bool with_drafter) {
    Result<model::LoadedModel> loaded = model::load_model(kFoal / "target");
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    target = std::make_unique<model::LoadedModel>(std::move(loaded).value());
    if (!with_drafter) return;
    Result<model::LoadedDrafter> made = model::load_drafter(kFoal / "drafter", target->config);
    EXPECT_TRUE(made.ok()) << made.error().message;
    drafter = std::make_unique<model::LoadedDrafter>(std::move(made).value());
  }
};

std::unique_ptr<Engine> start(Foal foal, const EngineLimits& limits,
                              std::unique_ptr<ops::Backend> backend) {
  auto engine =
      Engine::start(std::move(foal.target), std::move(foal.drafter), std::move(backend), limits);
  EXPECT_TRUE(engine.ok()) << engine.error().message;
  return std::move(engine).value();
}

std::unique_ptr<Engine> start_foal(const EngineLimits& limits,
                                   std::unique_ptr<ops::Backend> backend, bool with_drafter) {
  return start(Foal(with_drafter), limits, std::move(backend));
}

std::unique_ptr<Engine> start_foal(const EngineLimits& limits, int threads, bool with_drafter) {
  return start_foal(limits, ops::make_cpu_backend(threads), with_drafter);
}

struct Answer {
  std::vector<int32_t> tokens;
  std::vector<int32_t> accepted_per_step;
  FinishReason finish = FinishReason::kError;
  std::string error;
};

// Collects the events of many requests.
class Collector {
 public:
  EventSink sink(size_t index) {
    const std::lock_guard lock(mutex_);
    if (answers_.size() <= index) answers_.resize(index + 1);
    return [this, index](TokenEvent event) { take(index, std::move(event)); };
  }
  const Answer& wait(size_t index) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return answers_[index].done; });
    return answers_[index].answer;
  }

 private:
  struct Entry {
    Answer answer;
    bool done = false;
  };
  void take(size_t index, TokenEvent event) {
    const std::lock_guard lock(mutex_);
    Entry& entry = answers_[index];
    EXPECT_FALSE(entry.done) << "an event after the last";
    if (!event.from_prefill && !event.tokens.empty()) {
      entry.answer.accepted_per_step.push_back(static_cast<int32_t>(event.tokens.size()));
    }
    entry.answer.tokens.insert(entry.answer.tokens.end(), event.tokens.begin(), event.tokens.end());
    if (event.finish) {
      entry.answer.finish = *event.finish;
      entry.answer.error = event.error;
      entry.done = true;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> answers_;
};

std::vector<Answer> run_all(Generator& generator, const std::vector<Request>& requests) {
  Collector collector;
  for (size_t i = 0; i < requests.size(); ++i) {
    const EventSink sink = collector.sink(i);
    const auto id = generator.submit(requests[i], sink);
    EXPECT_TRUE(id.ok()) << id.error().message;
    if (!id.ok()) sink({.finish = FinishReason::kError});
  }
  std::vector<Answer> answers;
  for (size_t i = 0; i < requests.size(); ++i) answers.push_back(collector.wait(i));
  return answers;
}

Request request_of(const Json& item, int32_t max_tokens, int32_t drafts) {
  return {.prompt = item["prompt_ids"].get<std::vector<int32_t>>(),
          .max_tokens = max_tokens,
          .stop_token_ids = {},
          .drafts = drafts,
          .sampling = {}};
}

class FoalReference : public testing::TestWithParam<std::string> {};

// Every 42nd prompt (tests/equality runs them all) at block 16, 8 and plain: tokens and accepted
// counts equal.
TEST_P(FoalReference, GreedyTokensAndAcceptedCounts) {
  const Json json = reference(GetParam());
  std::vector<Json> items;
  for (size_t i = 0; i < json["items"].size(); i += 42) items.push_back(json["items"][i]);
  const auto engine = start_foal(foal_limits(8, 256), 2, true);
  for (const int32_t drafts : {15, 7, 0}) {
    std::vector<Request> requests;
    for (const Json& item : items) requests.push_back(request_of(item, json["max_new"], drafts));
    const std::vector<Answer> answers = run_all(*engine, requests);
    for (size_t i = 0; i < answers.size(); ++i) {
      EXPECT_EQ(answers[i].tokens, items[i]["greedy_ids"].get<std::vector<int32_t>>());
      EXPECT_EQ(answers[i].finish, FinishReason::kStop);
      if (drafts == 0) continue;
      const char* key = drafts == 15 ? "emitted_b16" : "emitted_b8";
      EXPECT_EQ(answers[i].accepted_per_step, items[i][key].get<std::vector<int32_t>>())
          << items[i]["id"];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, FoalReference, testing::Values("greedy.json", "greedy-hard.json"),
                         [](const auto& param_info) {
                           return std::string(param_info.param == "greedy.json" ? "easy" : "hard");
                         });

TEST(Engine, SamplingOptionsHoldWithAndWithoutSpeculation) {
  const Json json = reference("greedy-hard.json");
  const auto engine = start_foal(foal_limits(4, 64), 2, true);
  std::vector<Request> requests;
  for (const int32_t drafts : {0, 5, 15}) {
    Request request = request_of(json["items"][3], 40, drafts);
    request.min_tokens = 30;
    request.sampling = {.temperature = 1.0f,
                        .top_k = 50,
                        .top_p = 0.95f,
                        .min_p = 0.01f,
                        .presence_penalty = 0.5f,
                        .frequency_penalty = 0.2f,
                        .repetition_penalty = 1.1f,
                        .seed = 99,
                        .logit_bias = {{220, -5.0f}, {198, 1.5f}}};
    requests.push_back(request);
  }
  const std::vector<Answer> answers = run_all(*engine, requests);
  EXPECT_GE(answers[0].tokens.size(), 30u);
  EXPECT_EQ(answers[1].tokens, answers[0].tokens);
  EXPECT_EQ(answers[2].tokens, answers[0].tokens);
}

TEST(Engine, MaxTokensCutsInsideABlock) {
  const Json json = reference("greedy.json");
  const auto engine = start_foal(foal_limits(1, 64), 1, true);
  const auto greedy = json["items"][0]["greedy_ids"].get<std::vector<int32_t>>();
  for (const int32_t limit : {1, 2, 5, 17}) {
    const std::vector<Answer> answers = run_all(*engine, {request_of(json["items"][0], limit, 15)});
    EXPECT_EQ(answers[0].tokens, std::vector<int32_t>(greedy.begin(), greedy.begin() + limit));
    EXPECT_EQ(answers[0].finish, FinishReason::kLength);
  }
}

TEST(Engine, CancelEndsARequestAndFreesItsPlace) {
  const Json json = reference("greedy.json");
  const auto engine = start_foal(foal_limits(1, 64, 1), 1, false);
  Request endless = request_of(json["items"][0], 900, 0);
  endless.ignore_eos = true;
  Collector collector;
  const auto first = engine->submit(endless, collector.sink(0));
  const auto second = engine->submit(endless, collector.sink(1));
  ASSERT_TRUE(first.ok() && second.ok());
  engine->cancel(*second);  // still waiting
  EXPECT_EQ(collector.wait(1).finish, FinishReason::kCancelled);
  engine->cancel(*first);
  EXPECT_EQ(collector.wait(0).finish, FinishReason::kCancelled);
  engine->cancel(*first);  // over already: ignored
  const std::vector<Answer> answers = run_all(*engine, {request_of(json["items"][0], 96, 0)});
  EXPECT_EQ(answers[0].tokens, json["items"][0]["greedy_ids"].get<std::vector<int32_t>>());
}

TEST(Engine, ASinkMayCancelItsRequest) {
  const Json json = reference("greedy.json");
  const auto engine = start_foal(foal_limits(1, 64, 1), 1, false);
  Request endless = request_of(json["items"][0], 900, 0);
  endless.ignore_eos = true;
  std::promise<FinishReason> ended;
  const auto id = engine->submit(endless, [&](const TokenEvent& event) {
    if (event.finish) {
      ended.set_value(*event.finish);
    } else {
      engine->cancel(event.request);
    }
  });
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(ended.get_future().get(), FinishReason::kCancelled);
}

TEST(Engine, RefusesWhatCanNeverRun) {
  const auto engine = start_foal(foal_limits(1, 64), 1, true);
  const EventSink ignore = [](TokenEvent) {};
  const Request good{.prompt = {1, 2}, .max_tokens = 4, .stop_token_ids = {}, .sampling = {}};
  std::vector<std::pair<Request, std::string>> bad;
  const auto add = [&](const char* param, auto change) {
    Request request = good;
    change(request);
    bad.emplace_back(request, param);
  };
  add("prompt", [](Request& r) { r.prompt.clear(); });
  add("prompt", [](Request& r) { r.prompt = {-1}; });
  add("prompt", [](Request& r) { r.prompt = {4096}; });
  add("input_tokens", [](Request& r) { r.prompt.resize(1024, 1); });
  add("input_tokens", [](Request& r) { r.max_tokens = 1023; });
  add("min_tokens", [](Request& r) { r.min_tokens = 5; });
  add("speculative tokens", [](Request& r) { r.drafts = 16; });
  add("temperature", [](Request& r) { r.sampling.temperature = 2.5f; });
  add("temperature", [](Request& r) { r.sampling.temperature = std::nanf(""); });
  add("top_p", [](Request& r) { r.sampling.top_p = 0; });
  add("top_k", [](Request& r) { r.sampling.top_k = -1; });
  add("min_p", [](Request& r) { r.sampling.min_p = 1.5f; });
  add("presence_penalty", [](Request& r) { r.sampling.presence_penalty = -3; });
  add("repetition_penalty", [](Request& r) { r.sampling.repetition_penalty = 0; });
  add("logit_bias", [](Request& r) { r.sampling.logit_bias = {{5000, 1.0f}}; });
  add("stop_token_ids", [](Request& r) { r.stop_token_ids = {-4}; });
  for (const auto& [request, param] : bad) {
    const auto id = engine->submit(request, ignore);
    ASSERT_FALSE(id.ok()) << param;
    EXPECT_EQ(id.error().param, param) << id.error().message;
    EXPECT_EQ(id.error().message.starts_with("This model's maximum context length is 1024 tokens."),
              param == "input_tokens");
  }
}

// As many biases, stop ids and bans as a request may bring, in a context far shorter than that.
TEST(Engine, LongListsFitIntoAShortContext) {
  EngineLimits limits = foal_limits(2, 32);
  limits.executor.max_model_len = 64;
  limits.executor.pages = 2 * limits.executor.max_pages_per_sequence();
  const auto engine = start_foal(limits, 1, true);
  Request request{.prompt = {1, 2, 3},
                  .max_tokens = 20,
                  .min_tokens = 20,
                  .stop_token_ids = {},
                  .drafts = 5,
                  .sampling = {}};
  for (int32_t id = 0; id < 1024; ++id) {
    request.stop_token_ids.push_back(2000 + id);
    request.sampling.logit_bias.emplace_back(1000 + id, kMaxBias);
  }
  for (const Answer& answer : run_all(*engine, {request, request})) {
    EXPECT_EQ(answer.tokens.size(), 20u);
    for (const int32_t token : answer.tokens) EXPECT_TRUE(token >= 1000 && token < 2000) << token;
  }
  request.stop_token_ids.push_back(5);
  EXPECT_FALSE(engine->submit(request, [](TokenEvent) {}).ok());
}

// Pages for little more than the longest of them: who came last is preempted, runs again, and
// answers as if alone, greedily and by sampling, with drafts and without.
TEST(Engine, PreemptionChangesNoAnswer) {
  const Json json = reference("greedy-hard.json");
  std::vector<Request> requests, plain;
  for (int32_t i = 0; i < 3; ++i) {
    Request request = request_of(json["items"][static_cast<size_t>(i)], 40 + 3 * i, i % 3 * 5);
    request.ignore_eos = true;
    request.sampling.temperature = i % 2 == 0 ? 0.0f : 1.0f;
    request.sampling.presence_penalty = 0.5f;
    request.sampling.seed = static_cast<uint64_t>(i);
    requests.push_back(request);
    request.drafts = 0;
    plain.push_back(request);
  }
  EngineLimits limits = foal_limits(1, 64);
  const std::vector<Answer> alone = run_all(*start_foal(limits, 2, false), plain);
  limits = foal_limits(3, 64);
  limits.executor.pages = 11;
  const auto engine = start_foal(limits, 2, true);
  const std::vector<Answer> answers = run_all(*engine, requests);
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].finish, FinishReason::kLength);
    EXPECT_EQ(answers[i].tokens, alone[i].tokens) << i;
  }
  EXPECT_GT(engine->preemptions(), 0);
}

// The drafter learns the context of a preempted sequence again: where the drafts of all the rest
// are accepted, its own are. (Short of pages, a block or two are cut.)
TEST(Engine, PreemptionChangesNoDraft) {
  const Json json = reference("greedy-hard.json");
  const std::vector<Json> items = {json["items"][34], json["items"][33]};
  std::vector<Request> requests;
  for (const Json& item : items) requests.push_back(request_of(item, json["max_new"], 15));
  const auto pages = [&](size_t i, size_t generated) {
    return cache::pages_for(static_cast<int32_t>(items[i]["prompt_ids"].size() + generated));
  };
  EngineLimits limits = foal_limits(2, 64);
  limits.executor.pages = pages(0, items[0]["greedy_ids"].size()) + pages(1, 32);
  const auto engine = start_foal(limits, 2, true);
  const std::vector<Answer> answers = run_all(*engine, requests);
  EXPECT_GT(engine->preemptions(), 0);
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].tokens, items[i]["greedy_ids"].get<std::vector<int32_t>>()) << i;
    EXPECT_LE(answers[i].accepted_per_step.size(), items[i]["emitted_b16"].size() + 2) << i;
  }
}

// Waiting again they can be cancelled, and count as waiting until then.
TEST(Engine, PreemptedRequestsWaitAndCanBeCancelled) {
  EngineLimits limits = foal_limits(3, 64, 1);
  limits.executor.pages = 24;
  limits.max_queue = 3;
  Collector collector;
  const auto engine = start_foal(limits, 2, false);
  const Request endless{.prompt = std::vector<int32_t>(20, 5),
                        .max_tokens = 360,
                        .ignore_eos = true,
                        .stop_token_ids = {},
                        .sampling = {}};
  std::vector<RequestId> ids;
  for (size_t i = 0; i < 3; ++i) {
    const auto id = engine->submit(endless, collector.sink(i));
    ASSERT_TRUE(id.ok());
    ids.push_back(*id);
  }
  while (engine->preemptions() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (const size_t i : {2u, 1u, 0u}) {
    engine->cancel(ids[i]);
    EXPECT_EQ(collector.wait(i).finish, FinishReason::kCancelled);
  }
  Request after = endless;
  after.max_tokens = 2;
  EXPECT_EQ(run_all(*engine, {after})[0].tokens.size(), 2u);
}

TEST(Engine, MoreRequestsThanPlacesWaitForTheirTurn) {
  const Json json = reference("greedy.json");
  EngineLimits limits = foal_limits(2, 32);
  limits.max_queue = 6;
  const auto engine = start_foal(limits, 1, true);
  std::vector<Request> requests;
  for (size_t i = 0; i < 6; ++i) requests.push_back(request_of(json["items"][i * 20], 96, 15));
  const std::vector<Answer> answers = run_all(*engine, requests);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(answers[i].tokens, json["items"][i * 20]["greedy_ids"].get<std::vector<int32_t>>());
  }
}

TEST(Engine, AFullQueueRefuses) {
  EngineLimits limits = foal_limits(1, 32, 1);
  limits.max_queue = 2;
  Collector collector;  // both outlive the engine, which ends what still runs
  std::promise<void> running;
  const auto engine = start_foal(limits, 1, false);
  const Request endless{.prompt = {1, 2, 3},
                        .max_tokens = 900,
                        .ignore_eos = true,
                        .stop_token_ids = {},
                        .sampling = {}};
  const EventSink first = [sink = collector.sink(0), &running,
                           started = false](TokenEvent event) mutable {
    if (!std::exchange(started, true)) running.set_value();
    sink(std::move(event));
  };
  ASSERT_TRUE(engine->submit(endless, first).ok());
  running.get_future().wait();
  ASSERT_TRUE(engine->submit(endless, collector.sink(1)).ok());
  const auto third = engine->submit(endless, collector.sink(2));
  ASSERT_TRUE(third.ok());
  const auto refused = engine->submit(endless, [](TokenEvent) {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  engine->cancel(*third);
  EXPECT_EQ(collector.wait(2).finish, FinishReason::kCancelled);
  EXPECT_TRUE(engine->submit(endless, collector.sink(3)).ok());
}

// A token whose embedding is NaN makes all logits behind it NaN; what runs beside such a request
// and after it in its pages and slot gets the answer that it gets alone.
TEST(Engine, LogitsThatAreNaNEndTheirRequestAlone) {
  const Json item = reference("greedy.json")["items"][0];
  const auto greedy = item["greedy_ids"].get<std::vector<int32_t>>();
  const auto prompt = item["prompt_ids"].get<std::vector<int32_t>>();
  int32_t broken = 300;  // an id that the answer does not need
  const auto used = [&](const std::vector<int32_t>& ids) {
    return std::find(ids.begin(), ids.end(), broken) != ids.end();
  };
  while (used(greedy) || used(prompt)) ++broken;
  Foal foal(true);
  TensorView& embed = foal.target->weights.embed;
  const auto* values = embed.as<const uint16_t>();
  std::vector<uint16_t> copy(values, values + embed.shape().elements());
  embed = TensorView(copy.data(), embed.dtype(), embed.shape());
  std::fill_n(embed.row<uint16_t>(broken), embed.extent(1), uint16_t{0x7fc0});  // NaN in BF16
  const auto engine = start(std::move(foal), foal_limits(2, 64), ops::make_cpu_backend(2));
  std::vector<Request> requests;
  for (const int32_t drafts : {15, 0}) {
    for (const float temperature : {0.0f, 1.0f}) {
      Request request = request_of(item, 96, drafts);
      requests.push_back(request);
      request.prompt.insert(request.prompt.begin() + 1, broken);
      request.sampling.temperature = temperature;
      requests.push_back(request);
    }
  }
  const std::vector<Answer> answers = run_all(*engine, requests);
  for (size_t i = 0; i < answers.size(); i += 2) {
    EXPECT_EQ(answers[i].tokens, greedy) << i;
    EXPECT_EQ(answers[i + 1].finish, FinishReason::kError) << i;
    EXPECT_EQ(answers[i + 1].error,
              fmt::format("the model's logits are NaN at position {}", prompt.size() + 1));
    EXPECT_TRUE(answers[i + 1].tokens.empty());
  }
  EXPECT_TRUE(engine->healthy());
}

// It is only slower.
TEST(Engine, ADrafterThatIsNaNChangesNoAnswer) {
  const Json item = reference("greedy.json")["items"][0];
  Foal foal(true);
  std::vector<float> norm(static_cast<size_t>(foal.target->config.hidden), std::nanf(""));
  TensorView& weight = foal.drafter->weights.norm;
  weight = TensorView(norm.data(), DType::kF32, weight.shape());
  const auto engine = start(std::move(foal), foal_limits(1, 64), ops::make_cpu_backend(2));
  const std::vector<Answer> answers = run_all(*engine, {request_of(item, 96, 15)});
  EXPECT_EQ(answers[0].tokens, item["greedy_ids"].get<std::vector<int32_t>>());
}

// A device that fails, or a host without memory, at the n-th synchronisation.
class Failing : public ops::WrappedCpu {
 public:
  Failing(int steps, bool throws) : steps_left_(steps), throws_(throws) {}
  Result<void> synchronize() override {
    if (steps_left_-- > 0) return WrappedCpu::synchronize();
    if (throws_) throw std::bad_alloc();
    return Error{"the device is gone", ErrorCode::kInternal};
  }

 private:
  int steps_left_;
  bool throws_;
};

TEST(Engine, AFailedStepEndsAllRequestsAndRefusesMore) {
  for (const bool throws : {false, true}) {
    const auto engine =
        start_foal(foal_limits(2, 32, 1), std::make_unique<Failing>(5, throws), false);
    const Request request{.prompt = {1, 2, 3},
                          .max_tokens = 100,
                          .ignore_eos = true,
                          .stop_token_ids = {},
                          .sampling = {}};
    EXPECT_TRUE(engine->healthy());
    for (const Answer& answer : run_all(*engine, {request, request, request})) {
      EXPECT_EQ(answer.finish, FinishReason::kError);
    }
    EXPECT_FALSE(engine->healthy());
    const auto refused = engine->submit(request, [](TokenEvent) {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  }
}

}  // namespace
}  // namespace gallop::engine
