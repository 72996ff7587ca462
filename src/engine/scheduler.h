// Who runs in the next step: a pure function of state and budget.
#pragma once

#include <cstdint>
#include <span>

#include "engine/step_plan.h"

namespace gallop::engine {

// What the scheduler may know of a sequence; in order of arrival.
struct SequenceState {
  bool running = false;      // holds a slot and pages
  int32_t prompt_left = 0;   // prompt tokens not yet run; 0: decoding
  int32_t drafts = 0;        // drafts a decode step verifies
  int32_t pages_needed = 0;  // for the longest outcome, look-ahead included
};

struct StepBudget {
  int32_t max_num_seqs = 0;       // running at once
  int32_t max_prompt_tokens = 0;  // of one step, all sequences together
  int32_t free_pages = 0;
  int32_t free_slots = 0;
};

// First come, first served: every decoding sequence gets its block; prompts share what is left of
// max_prompt_tokens in order of arrival; waiting sequences are admitted in order while a slot and
// all of their pages are free, and the first that does not fit holds back those behind it.
StepPlan plan_step(std::span<const SequenceState> sequences, const StepBudget& budget);

}  // namespace gallop::engine
