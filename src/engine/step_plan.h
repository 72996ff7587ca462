// The decision for one forward: which sequences run, with how many rows, and why. Plain numbers, so
// that a plan can be made, checked and fuzzed without a model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gallop::engine {

// What the rows of a sequence are.
enum class RowKind {
  kPrompt,  // prompt tokens, by the prefill path
  kReplay,  // tokens generated before a preemption, by the decode path again
  kDecode,  // the last known token and drafts behind it
};

struct SequencePlan {
  size_t sequence = 0;  // index into the list the plan was made from
  bool admit = false;   // waiting until now: takes a state slot first
  int32_t new_pages = 0;
  RowKind kind = RowKind::kPrompt;
  int32_t rows = 0;      // tokens of this step
  bool samples = false;  // chooses tokens: every decode row, the last row of a new prompt
};

struct StepPlan {
  std::vector<size_t> preempted;  // give slot and pages back first, and start again later
  std::vector<SequencePlan> sequences;

  bool empty() const { return sequences.empty(); }
};

}  // namespace gallop::engine
