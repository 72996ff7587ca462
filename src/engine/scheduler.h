// Who runs in the next step: a pure function of state and budget.
#pragma once

#include <cstdint>
#include <span>

#include "engine/step_plan.h"

namespace gallop::engine {

// What the scheduler may know of a sequence; in order of arrival.
struct SequenceState {
  int32_t priority = 0;  // the least comes first; equal ones in order of arrival
  bool running = false;  // holds a slot and pages
  int32_t prompt = 0;    // tokens of the prompt
  int32_t tokens = 0;    // known: the prompt and what was generated
  int32_t cached = 0;    // of them, in the caches; 0 while waiting
  int32_t drafts = 0;    // most drafts that a decode step verifies
  int32_t pages = 0;     // held

  // What its next rows are, and how many of them are known.
  RowKind kind() const {
    if (cached < prompt) return RowKind::kPrompt;
    return tokens > cached + 1 ? RowKind::kReplay : RowKind::kDecode;
  }
  int32_t known_rows() const {
    switch (kind()) {
      case RowKind::kPrompt:
        return prompt - cached;
      case RowKind::kReplay:
        return tokens - 1 - cached;
      case RowKind::kDecode:
        return 1;
    }
    return 0;
  }
};

struct StepBudget {
  int32_t max_num_seqs = 0;            // running at once
  int32_t max_num_batched_tokens = 0;  // rows of one step; at least max_num_seqs
  int32_t max_prompt_tokens = 0;       // prompt rows of one step, at least 1
  int32_t max_block = 1;               // rows of one sequence by the decode path
  int32_t free_pages = 0;
  int32_t free_slots = 0;
};

// First come, first served, within a priority:
// - Every sequence behind its prompt gets a row, then drafts as far as tokens and pages last; where
//   prompts wait for tokens, drafts take half of a step, or more where max_prompt_tokens are left.
// - Prompts share what is left in order. A sequence is admitted when a slot, pages for all of its
//   known tokens and one page for each that runs are free; the first that does not fit holds back
//   those behind it.
// - Whoever lacks a page for its next row, with none free, takes it from the last in order that
//   runs, which is preempted; no one is admitted in such a step. So the first in order of those
//   that run always goes on.
// A request whose tokens never fit into all pages must not get here.
StepPlan plan_step(std::span<const SequenceState> sequences, const StepBudget& budget);

}  // namespace gallop::engine
