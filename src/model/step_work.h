// What a forward of a model cannot do without: bytes of weights, keys, values and states to read,
// and arithmetic. Over a machine's rates it is the floor beside which a speed is reported.
#pragma once

#include <cstdint>

#include "model/weight_loader.h"

namespace gallop::model {

struct Work {
  double bytes = 0;
  double operations = 0;  // floating-point; a multiply-add counts as two

  Work& operator+=(const Work& other) {
    bytes += other.bytes;
    operations += other.operations;
    return *this;
  }
};

// One step of one sequence: `rows` rows behind `context` tokens, of which `choosing` go through the
// head. Keys and values are read once for all rows, states read and written once; weights once.
Work target_work(const LoadedModel& model, int64_t context, int64_t rows, int64_t choosing);

// What a drafter adds to a step: a block of `rows` rows (none in a prompt) behind `context` tokens,
// all but the anchor through the target's head, and `learned` tokens that become its context.
Work drafter_work(const LoadedDrafter& drafter, const LoadedModel& target, int64_t context,
                  int64_t rows, int64_t learned);

}  // namespace gallop::model
