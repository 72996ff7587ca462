#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "engine/scheduler.h"

namespace gallop::engine {
namespace {

// A naive engine around the scheduler: every sequence is a prompt length and a number of decode
// steps; pages and slots are counters.
struct Simulated {
  int32_t prompt_left = 0;
  int32_t steps_left = 0;
  int32_t drafts = 0;
  int32_t pages = 0;
  bool running = false;
  bool done = false;
};

class Simulation {
 public:
  Simulation(std::mt19937& random, StepBudget budget) : random_(random), budget_(budget) {}

  void arrive() {
    sequences_.push_back({.prompt_left = static_cast<int32_t>(1 + random_() % 100),
                          .steps_left = static_cast<int32_t>(1 + random_() % 10),
                          .drafts = static_cast<int32_t>(random_() % 16),
                          .pages = static_cast<int32_t>(1 + random_() % 8)});
  }

  // One step; returns how many sequences ended. Checks every promise of the plan.
  int step() {
    std::vector<Simulated*> alive;
    std::vector<SequenceState> states;
    for (Simulated& sequence : sequences_) {
      if (sequence.done) continue;
      alive.push_back(&sequence);
      states.push_back({.running = sequence.running,
                        .prompt_left = sequence.prompt_left,
                        .drafts = sequence.drafts,
                        .pages_needed = sequence.pages});
    }
    const StepPlan plan = plan_step(states, budget_);
    EXPECT_EQ(plan.empty(), alive.empty()) << "work must never stand still";
    expect_all_served(plan, states);
    int32_t prompt_tokens = 0;
    int ended = 0;
    for (const SequencePlan& planned : plan.sequences) {
      Simulated& sequence = *alive[planned.sequence];
      EXPECT_EQ(planned.admit, !sequence.running);
      if (planned.admit) take(sequence);
      if (planned.prompt) prompt_tokens += planned.rows;
      ended += advance(planned, sequence);
    }
    EXPECT_LE(prompt_tokens, budget_.max_prompt_tokens);
    return ended;
  }

  size_t waiting() const {
    return static_cast<size_t>(std::count_if(sequences_.begin(), sequences_.end(),
                                             [](const Simulated& s) { return !s.done; }));
  }

 private:
  // Every decoding sequence is in the plan, none is there twice, seats hold, and who arrived
  // earlier runs earlier.
  void expect_all_served(const StepPlan& plan, const std::vector<SequenceState>& states) const {
    std::vector<bool> planned(states.size());
    for (size_t i = 0; i < plan.sequences.size(); ++i) {
      const size_t sequence = plan.sequences[i].sequence;
      ASSERT_LT(sequence, states.size());
      EXPECT_FALSE(planned[sequence]) << "planned twice";
      planned[sequence] = true;
    }
    int32_t seats = 0;
    bool waits = false;
    for (size_t i = 0; i < states.size(); ++i) {
      const bool decodes = states[i].running && states[i].prompt_left == 0;
      EXPECT_TRUE(planned[i] || !decodes) << "a decoding sequence stands still";
      const bool seated = states[i].running || planned[i];
      EXPECT_FALSE(waits && seated && !states[i].running) << "admitted before an earlier one";
      waits = waits || !seated;
      seats += seated;
    }
    EXPECT_LE(seats, budget_.max_num_seqs);
  }

  void take(Simulated& sequence) {
    sequence.running = true;
    budget_.free_pages -= sequence.pages;
    budget_.free_slots -= 1;
    EXPECT_GE(budget_.free_pages, 0);
    EXPECT_GE(budget_.free_slots, 0);
  }

  int advance(const SequencePlan& planned, Simulated& sequence) {
    EXPECT_GT(planned.rows, 0);
    EXPECT_EQ(planned.prompt, sequence.prompt_left > 0);
    if (planned.prompt) {
      EXPECT_LE(planned.rows, sequence.prompt_left);
      EXPECT_EQ(planned.samples, planned.rows == sequence.prompt_left);
      sequence.prompt_left -= planned.rows;
      return 0;
    }
    EXPECT_EQ(planned.rows, 1 + sequence.drafts);
    EXPECT_TRUE(planned.samples);
    if (--sequence.steps_left > 0) return 0;
    sequence.done = true;
    budget_.free_pages += sequence.pages;
    budget_.free_slots += 1;
    return 1;
  }

  std::mt19937& random_;
  StepBudget budget_;
  std::vector<Simulated> sequences_;
};

TEST(Scheduler, EveryAdmittedRequestEndsAndNoBudgetIsExceeded) {
  std::mt19937 random(7);
  for (int history = 0; history < 2000; ++history) {
    Simulation simulation(random, {.max_num_seqs = static_cast<int32_t>(1 + random() % 5),
                                   .max_prompt_tokens = static_cast<int32_t>(1 + random() % 64),
                                   .free_pages = static_cast<int32_t>(8 + random() % 20),
                                   .free_slots = 8});
    const int requests = static_cast<int>(1 + random() % 12);
    int arrived = 0;
    int ended = 0;
    for (int step = 0; ended < requests; ++step) {
      ASSERT_LT(step, 5000) << "starved";
      while (arrived < requests && (random() % 3 == 0 || simulation.waiting() == 0)) {
        simulation.arrive();
        ++arrived;
      }
      ended += simulation.step();
    }
  }
}

TEST(Scheduler, FirstComeFirstServed) {
  const std::vector<SequenceState> states = {
      {.running = true, .prompt_left = 0, .drafts = 3, .pages_needed = 1},
      {.running = false, .prompt_left = 10, .drafts = 0, .pages_needed = 9},
      {.running = false, .prompt_left = 1, .drafts = 0, .pages_needed = 1}};
  const StepPlan plan = plan_step(
      states, {.max_num_seqs = 8, .max_prompt_tokens = 64, .free_pages = 8, .free_slots = 8});
  ASSERT_EQ(plan.sequences.size(), 1u) << "the second does not fit and holds back the third";
  EXPECT_EQ(plan.sequences[0].rows, 4);
}

TEST(Scheduler, PromptsShareTheBudgetInOrder) {
  const std::vector<SequenceState> states = {
      {.running = true, .prompt_left = 40, .drafts = 0, .pages_needed = 1},
      {.running = false, .prompt_left = 40, .drafts = 0, .pages_needed = 1},
      {.running = false, .prompt_left = 40, .drafts = 0, .pages_needed = 1}};
  const StepPlan plan = plan_step(
      states, {.max_num_seqs = 8, .max_prompt_tokens = 64, .free_pages = 8, .free_slots = 8});
  ASSERT_EQ(plan.sequences.size(), 2u);
  EXPECT_EQ(plan.sequences[0].rows, 40);
  EXPECT_TRUE(plan.sequences[0].samples);
  EXPECT_EQ(plan.sequences[1].rows, 24);
  EXPECT_TRUE(plan.sequences[1].admit);
  EXPECT_FALSE(plan.sequences[1].samples);
}

}  // namespace
}  // namespace gallop::engine
