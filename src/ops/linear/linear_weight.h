// The weight of a linear layer as a type: the model never asks for its format, the op decides once.
// Matrices that share an input are stacked over their outputs; a part is a row range with a format
// of its own (a new format is a new kind of part).
#pragma once

#include <vector>

#include "tensor/tensor_view.h"

namespace gallop::ops {

struct LinearPart {
  TensorView weight;  // [n, k] f32 | bf16 | f16, rows contiguous, as the checkpoint stores it
};

struct LinearWeight {
  std::vector<LinearPart> parts;  // at least one; all with the same k

  // Outputs of all parts together.
  int64_t n() const {
    int64_t total = 0;
    for (const LinearPart& part : parts) total += part.weight.extent(0);
    return total;
  }
  // Inputs.
  int64_t k() const { return parts.front().weight.extent(1); }
};

}  // namespace gallop::ops
