// Drafts by DFlash: the drafter model over the target's features.
#pragma once

#include <memory>

#include "engine/batch_buffers.h"
#include "engine/sampler.h"
#include "engine/speculator.h"
#include "model/drafter.h"
#include "model/model_cache.h"

namespace gallop::engine {

struct SpeculatorLimits {
  int64_t max_rows = 0;  // of a target step
  int32_t max_num_seqs = 0;
  int32_t max_pages_per_sequence = 0;
  int32_t pages = 0;  // page numbers are the target's: one table serves both caches
  int32_t page_tokens = 0;
  int32_t vocab_limit = 0;
};

// The loaded drafter, the target and the backend outlive the speculator.
Result<std::unique_ptr<Speculator>> make_dflash_speculator(const model::LoadedDrafter& loaded,
                                                           model::TextModel& target,
                                                           const SpeculatorLimits& limits,
                                                           ops::Backend& backend);

}  // namespace gallop::engine
