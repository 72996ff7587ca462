// The weight of a linear layer as a type: the model never asks for its format, the op decides once.
// Matrices that share an input are stacked over their outputs; a part is a row range with a format,
// scales and an input scale of its own (a new format is a new kind of part). Views are of the bytes
// that the checkpoint holds.
#pragma once

#include <variant>
#include <vector>

#include "tensor/tensor_view.h"

namespace gallop::ops {

struct FloatWeight {
  TensorView weight;  // [n, k] f32 | bf16 | f16
};

// weight[j, i] = e2m1(code) * e4m3(scale of i's block) * global_scale / global_divisor, where one
// of the last two is 1: checkpoints hold the scale or its inverse. The first product is exact.
struct Nvfp4Weight {
  TensorView codes;   // [n, k / 2] u8, the even i in the low half; k is a multiple of 16
  TensorView scales;  // [n, k / 16] e4m3; a NaN counts as 0
  float global_scale = 1;
  float global_divisor = 1;
};

// weight[j, i] = e4m3(byte) * scale; a NaN byte counts as 0.
struct Fp8Weight {
  static constexpr int64_t kTile = 128;

  TensorView weight;  // [n, k] e4m3
  TensorView scales;  // [1] | [n] | [n / 128, k / 128] f32, the last rounded up

  bool tiled() const { return scales.shape().rank() == 2; }
};

struct LinearPart {
  std::variant<FloatWeight, Nvfp4Weight, Fp8Weight> weight;
  TensorView input_scale = {};  // [k] f32, multiplies this part's inputs; empty: none

  // Outputs and inputs.
  int64_t n() const;
  int64_t k() const;
};

struct LinearWeight {
  std::vector<LinearPart> parts;  // at least one; all with the same k

  // Outputs of all parts together.
  int64_t n() const {
    int64_t total = 0;
    for (const LinearPart& part : parts) total += part.n();
    return total;
  }
  // Inputs.
  int64_t k() const { return parts.front().k(); }
};

}  // namespace gallop::ops
