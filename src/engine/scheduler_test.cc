#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "cache/page_math.h"
#include "engine/scheduler.h"

namespace gallop::engine {
namespace {

// One request: what it still has to do, and what the scheduler sees of it.
struct Simulated {
  SequenceState state;
  int32_t limit = 0;  // tokens at which it ends
  bool done = false;
};

StepBudget random_budget(std::mt19937& random) {
  const auto below = [&](uint32_t n) { return static_cast<int32_t>(random() % n); };
  StepBudget budget{.max_num_seqs = 1 + below(8),
                    .max_prompt_tokens = 1 + below(64),
                    .max_block = 1 + below(16),
                    .free_pages = 1 + below(40)};
  budget.max_num_batched_tokens = budget.max_num_seqs + below(100);
  budget.free_slots = budget.max_num_seqs;
  return budget;
}

// A naive engine around the scheduler, with pages and slots as counters. Every step checks every
// promise of the plan.
class Simulation {
 public:
  Simulation(std::mt19937& random, const StepBudget& budget)
      : random_(random), budget_(budget), all_pages_(budget.free_pages) {}

  void arrive() {
    const int32_t most = std::min(all_pages_ * cache::kPageTokens, 200);
    Simulated sequence;
    sequence.limit = 2 + below(most - 1);
    sequence.state.prompt = 1 + below(sequence.limit - 1);
    sequence.state.tokens = sequence.state.prompt;
    sequence.state.drafts = below(budget_.max_block);
    sequence.state.priority = below(3);
    sequences_.push_back(sequence);
  }

  // Who has gone at any moment gives all back.
  void cancel_one() {
    std::vector<Simulated*> alive = alive_ones();
    if (!alive.empty()) end(*alive[random_() % alive.size()]);
  }

  void step() {
    const std::vector<Simulated*> alive = alive_ones();
    std::vector<SequenceState> states;
    for (const Simulated* sequence : alive) states.push_back(sequence->state);
    const StepPlan plan = plan_step(states, budget_);
    EXPECT_EQ(plan.empty(), alive.empty()) << "work must never stand still";
    expect_order(plan, states);
    for (const size_t i : plan.preempted) {
      EXPECT_TRUE(alive[i]->state.running);
      give_back(*alive[i]);
    }
    int32_t rows = 0;
    int32_t prompt_rows = 0;
    for (const SequencePlan& planned : plan.sequences) {
      rows += planned.rows;
      if (planned.kind == RowKind::kPrompt) prompt_rows += planned.rows;
      take(planned, *alive[planned.sequence]);
    }
    EXPECT_LE(rows, budget_.max_num_batched_tokens);
    EXPECT_LE(prompt_rows, budget_.max_prompt_tokens);
    for (const SequencePlan& planned : plan.sequences) advance(planned, *alive[planned.sequence]);
  }

  bool over() { return alive_ones().empty(); }
  bool nothing_is_lent() const {
    return budget_.free_pages == all_pages_ && budget_.free_slots == budget_.max_num_seqs;
  }

 private:
  int32_t below(int32_t n) { return n > 0 ? static_cast<int32_t>(random_() % uint32_t(n)) : 0; }

  std::vector<Simulated*> alive_ones() {
    std::vector<Simulated*> alive;
    for (Simulated& sequence : sequences_) {
      if (!sequence.done) alive.push_back(&sequence);
    }
    return alive;
  }

  // None twice, every running one behind its prompt goes on, who waits longest is admitted first,
  // and the preempted are the last of those that ran.
  void expect_order(const StepPlan& plan, const std::vector<SequenceState>& states) const {
    std::set<size_t> planned;
    std::set<size_t> preempted(plan.preempted.begin(), plan.preempted.end());
    for (const SequencePlan& one : plan.sequences) {
      ASSERT_LT(one.sequence, states.size());
      EXPECT_TRUE(planned.insert(one.sequence).second) << "planned twice";
      EXPECT_FALSE(preempted.contains(one.sequence));
      EXPECT_TRUE(!one.admit || preempted.empty()) << "admitted beside a preemption";
    }
    const auto earlier = [&](size_t a, size_t b) {
      return std::pair(states[a].priority, a) < std::pair(states[b].priority, b);
    };
    for (size_t i = 0; i < states.size(); ++i) {
      const bool stays = states[i].running && !preempted.contains(i);
      EXPECT_TRUE(!stays || states[i].kind() == RowKind::kPrompt || planned.contains(i));
      for (const size_t j : preempted) EXPECT_TRUE(!stays || earlier(i, j));
      if (states[i].running || planned.contains(i)) continue;
      for (const SequencePlan& one : plan.sequences) {
        EXPECT_TRUE(!one.admit || earlier(one.sequence, i)) << "someone passed " << i;
      }
    }
  }

  void take(const SequencePlan& planned, Simulated& sequence) {
    SequenceState& state = sequence.state;
    EXPECT_EQ(planned.admit, !state.running);
    if (planned.admit) --budget_.free_slots;
    state.running = true;
    budget_.free_pages -= planned.new_pages;
    state.pages += planned.new_pages;
    EXPECT_GE(budget_.free_slots, 0);
    EXPECT_GE(budget_.free_pages, 0);
    EXPECT_GE(planned.rows, 1);
    EXPECT_EQ(planned.kind, state.kind());
    EXPECT_LE(state.cached + planned.rows, state.pages * cache::kPageTokens);
  }

  void advance(const SequencePlan& planned, Simulated& sequence) {
    SequenceState& state = sequence.state;
    int32_t gained = planned.samples ? 1 : 0;
    if (planned.kind == RowKind::kDecode) {
      EXPECT_TRUE(planned.samples);
      EXPECT_LE(planned.rows, std::min(1 + state.drafts, budget_.max_block));
      gained += below(planned.rows);
      state.cached += gained;
    } else {
      EXPECT_LE(planned.rows, state.known_rows());
      EXPECT_EQ(planned.samples, state.cached + planned.rows == state.tokens);
      EXPECT_TRUE(planned.kind == RowKind::kPrompt || planned.rows <= budget_.max_block);
      state.cached += planned.rows;
    }
    state.tokens += gained;
    if (state.tokens >= sequence.limit) end(sequence);
  }

  void give_back(Simulated& sequence) {
    budget_.free_pages += sequence.state.pages;
    budget_.free_slots += sequence.state.running ? 1 : 0;
    sequence.state.pages = sequence.state.cached = 0;
    sequence.state.running = false;
  }

  void end(Simulated& sequence) {
    give_back(sequence);
    sequence.done = true;
  }

  std::mt19937& random_;
  StepBudget budget_;
  int32_t all_pages_;
  std::vector<Simulated> sequences_;
};

TEST(Scheduler, EveryRandomHistoryKeepsItsPromisesAndEnds) {
  std::mt19937 random(1);
  for (int history = 0; history < 3000 && !testing::Test::HasFailure(); ++history) {
    Simulation simulation(random, random_budget(random));
    for (int arrivals = 1 + static_cast<int>(random() % 12); arrivals > 0; simulation.step()) {
      if (random() % 3 == 0) {
        simulation.arrive();
        --arrivals;
      }
      if (random() % 16 == 0) simulation.cancel_one();
    }
    // A token of the first in order each step, prompts and replays of all others in between.
    int steps = 0;
    while (!simulation.over() && ++steps < 20000) simulation.step();
    ASSERT_TRUE(simulation.over()) << "history " << history;
    ASSERT_TRUE(simulation.nothing_is_lent()) << "history " << history;
  }
}

constexpr StepBudget kWide{.max_num_seqs = 8,
                           .max_num_batched_tokens = 64,
                           .max_prompt_tokens = 64,
                           .max_block = 16,
                           .free_pages = 8,
                           .free_slots = 8};

TEST(Scheduler, TheFirstThatDoesNotFitHoldsBackTheRest) {
  const std::vector<SequenceState> states = {
      {.running = true, .prompt = 5, .tokens = 6, .cached = 5, .drafts = 3, .pages = 1},
      {.prompt = 150, .tokens = 150},
      {.prompt = 1, .tokens = 1}};
  const StepPlan plan = plan_step(states, kWide);
  ASSERT_EQ(plan.sequences.size(), 1u);
  EXPECT_EQ(plan.sequences[0].rows, 4);
}

TEST(Scheduler, PromptsShareTheTokensOfAStepInOrder) {
  const std::vector<SequenceState> states = {
      {.running = true, .prompt = 40, .tokens = 40, .pages = 3},
      {.prompt = 40, .tokens = 40},
      {.prompt = 40, .tokens = 40}};
  const StepPlan plan = plan_step(states, kWide);
  ASSERT_EQ(plan.sequences.size(), 2u);
  EXPECT_EQ(plan.sequences[0].rows, 40);
  EXPECT_TRUE(plan.sequences[0].samples);
  EXPECT_EQ(plan.sequences[1].rows, 24);
  EXPECT_FALSE(plan.sequences[1].samples);
}

TEST(Scheduler, DraftsLeaveHalfOfAStepToPrompts) {
  std::vector<SequenceState> states(
      4, {.running = true, .prompt = 1, .tokens = 2, .cached = 1, .drafts = 15, .pages = 2});
  states.push_back({.prompt = 100, .tokens = 100});
  StepBudget budget = kWide;
  budget.free_pages = 20;
  const StepPlan plan = plan_step(states, budget);
  ASSERT_EQ(plan.sequences.size(), 5u);
  const std::vector<int32_t> rows = {16, 14, 1, 1, 32};
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(plan.sequences[i].rows, rows[i]) << i;
}

TEST(Scheduler, BlocksAreWholeWhereAllOfThemFit) {
  StepBudget budget = kWide;
  budget.max_num_batched_tokens = budget.max_prompt_tokens + budget.max_num_seqs * budget.max_block;
  std::vector<SequenceState> states(
      7, {.running = true, .prompt = 1, .tokens = 2, .cached = 1, .drafts = 15, .pages = 2});
  states.push_back({.prompt = 500, .tokens = 500});  // waits for pages
  for (const int32_t pages : {8, 40}) {
    budget.free_pages = pages;
    const StepPlan plan = plan_step(states, budget);
    ASSERT_EQ(plan.sequences.size(), pages == 8 ? 7u : 8u);
    for (size_t i = 0; i < 7; ++i) EXPECT_EQ(plan.sequences[i].rows, 16) << i;
    EXPECT_EQ(plan.sequences.back().rows, pages == 8 ? 16 : 64);
  }
}

TEST(Scheduler, PagesAreKeptForThoseThatRun) {
  StepBudget budget = kWide;
  const SequenceState runs{.running = true, .prompt = 1, .tokens = 2, .cached = 1, .pages = 1};
  const std::vector<SequenceState> states = {runs, runs, {.prompt = 40, .tokens = 40}};
  budget.free_pages = 4;  // three for the prompt, one for each that runs
  EXPECT_EQ(plan_step(states, budget).sequences.size(), 2u);
  budget.free_pages = 5;
  EXPECT_EQ(plan_step(states, budget).sequences.size(), 3u);
}

TEST(Scheduler, DraftsTakeNoPageThatANextRowNeeds) {
  StepBudget budget = kWide;
  budget.free_pages = 1;
  const std::vector<SequenceState> states = {
      {.running = true, .prompt = 1, .tokens = 11, .cached = 10, .drafts = 15, .pages = 1},
      {.running = true, .prompt = 1, .tokens = 17, .cached = 16, .drafts = 15, .pages = 1}};
  const StepPlan plan = plan_step(states, budget);
  EXPECT_TRUE(plan.preempted.empty());
  ASSERT_EQ(plan.sequences.size(), 2u);
  EXPECT_EQ(plan.sequences[0].rows, 6);  // to the end of its page
  EXPECT_EQ(plan.sequences[1].rows, 16);
}

TEST(Scheduler, TheLastInOrderGivesItsPagesToTheFirst) {
  StepBudget budget = kWide;
  budget.free_pages = 0;
  const SequenceState full{
      .running = true, .prompt = 1, .tokens = 33, .cached = 32, .drafts = 0, .pages = 2};
  std::vector<SequenceState> states = {full, full, full};
  states[0].priority = 1;  // so the second and the third come before it
  const StepPlan plan = plan_step(states, budget);
  EXPECT_EQ(plan.preempted, std::vector<size_t>{0});
  ASSERT_EQ(plan.sequences.size(), 2u);
  EXPECT_EQ(plan.sequences[0].sequence, 1u);
  EXPECT_EQ(plan.sequences[1].new_pages, 1);
}

}  // namespace
}  // namespace gallop::engine
