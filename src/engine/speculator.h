// Where drafts come from: proposes the tokens of a block and learns from what was committed. Drafts
// never change an answer; they only change how many steps it takes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/sequence.h"
#include "model/text_model.h"

namespace gallop::engine {

// Rows of the target's step that are now part of a sequence.
struct CommittedRows {
  const Sequence* sequence = nullptr;
  int32_t step_row = 0;  // first row in the step
  int32_t rows = 0;
  int32_t position = 0;  // of the first row
};

// A block to be filled behind the sequence's last token.
struct DraftRequest {
  const Sequence* sequence = nullptr;
  int32_t drafts = 0;  // at least 1
};

class Speculator {
 public:
  virtual ~Speculator() = default;

  // What the speculator wants to see of the target's step of `rows` rows.
  virtual std::vector<model::Capture> captures(int64_t rows) = 0;

  // After a target step: takes in the committed rows of it. Called for every step of a sequence
  // that will ask for drafts, prompt included, in order of position.
  virtual void learn(std::span<const CommittedRows> committed) = 0;

  // One list of drafts per request, each of the length asked for.
  virtual Result<std::vector<std::vector<int32_t>>> propose(
      std::span<const DraftRequest> requests) = 0;
};

}  // namespace gallop::engine
