// One accepted request on its way through the engine: its tokens and how far each cache has
// followed.
#pragma once

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "engine/generator.h"
#include "engine/request.h"

namespace gallop::engine {

// Invariant: fold <= cached < tokens.size(). Decoding, tokens.size() == cached + 1: the last token
// (the anchor of the next block) has been chosen but not yet run. After a preemption cached is 0
// and all that is known runs once more: the prompt, then the generated tokens but for the last.
//
//   [0, cached - fold)       in the key-value pages, the conv ring and the GDN state
//   [cached - fold, cached)  in the pages and rings; the GDN state takes it in on the next load
//   [cached, tokens.size())  known, not yet run
struct Sequence {
  RequestId id = 0;
  Request request;
  EventSink sink;

  std::vector<int32_t> tokens;  // the prompt, then what was generated
  int32_t cached = 0;
  int32_t fold = 0;
  std::vector<int32_t> pages;        // of the known tokens and of drafts; none while waiting
  std::vector<int32_t> state_slots;  // one while running

  int32_t prompt_tokens() const { return static_cast<int32_t>(request.prompt.size()); }
  int32_t generated() const { return static_cast<int32_t>(tokens.size()) - prompt_tokens(); }
  bool running() const { return !state_slots.empty(); }
  bool in_prompt() const { return cached < prompt_tokens(); }
  int32_t state_slot() const { return state_slots.front(); }

  void check() const {
    CHECK(fold >= 0 && fold <= cached && cached < static_cast<int32_t>(tokens.size()));
  }
};

}  // namespace gallop::engine
