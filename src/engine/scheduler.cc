#include "engine/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace gallop::engine {
namespace {

struct Remaining {
  int32_t seats;
  int32_t prompt_tokens;
  int32_t pages;
  int32_t slots;
};

// Admission needs a seat, a slot, all pages, and at least one prompt token of this step.
bool admissible(const SequenceState& state, const Remaining& left) {
  return left.seats > 0 && left.slots > 0 && left.pages >= state.pages_needed &&
         left.prompt_tokens > 0;
}

}  // namespace

StepPlan plan_step(std::span<const SequenceState> sequences, const StepBudget& budget) {
  const auto running = std::count_if(sequences.begin(), sequences.end(),
                                     [](const SequenceState& state) { return state.running; });
  Remaining left{.seats = budget.max_num_seqs - static_cast<int32_t>(running),
                 .prompt_tokens = budget.max_prompt_tokens,
                 .pages = budget.free_pages,
                 .slots = budget.free_slots};
  StepPlan plan;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const SequenceState& state = sequences[i];
    const bool admit = !state.running;
    if (admit && !admissible(state, left)) break;
    if (admit) {
      --left.seats;
      --left.slots;
      left.pages -= state.pages_needed;
    }
    const bool prompt = state.prompt_left > 0;
    const int32_t rows =
        prompt ? std::min(state.prompt_left, left.prompt_tokens) : 1 + state.drafts;
    if (rows == 0) continue;
    if (prompt) left.prompt_tokens -= rows;
    plan.sequences.push_back({.sequence = i,
                              .admit = admit,
                              .prompt = prompt,
                              .rows = rows,
                              .samples = !prompt || rows == state.prompt_left});
  }
  return plan;
}

}  // namespace gallop::engine
