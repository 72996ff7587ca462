// The decision for one forward: which sequences run, with how many rows, and why. Plain numbers, so
// that a plan can be made, checked and fuzzed without a model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gallop::engine {

struct SequencePlan {
  size_t sequence = 0;   // index into the list the plan was made from
  bool admit = false;    // waiting until now: takes a state slot and its pages first
  bool prompt = false;   // rows are prompt tokens; else the anchor and drafts
  int32_t rows = 0;      // tokens of this step
  bool samples = false;  // chooses tokens: every decode row, the last row of a prompt
};

struct StepPlan {
  std::vector<SequencePlan> sequences;

  bool empty() const { return sequences.empty(); }
};

}  // namespace gallop::engine
