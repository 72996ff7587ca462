// Recognises how a linear's weight is stored, by the names beside it and never by a list of layers:
// as floats, as NVFP4 (ModelOpt's names or compressed-tensors'), or as FP8 with scales for the
// tensor, for each output or for 128 x 128 tiles. Reads its scalars; the tensors themselves are
// bound here and checked and placed by the loader, which never unpacks them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/hf_checkpoint.h"
#include "model/weight_table.h"

namespace gallop::model {

struct LinearTensors {
  std::string format;                 // "BF16", "NVFP4 (ModelOpt)", "FP8 (one scale)", ...
  std::vector<TensorBinding> placed;  // none of them kLinear; their fields lie in the part
  std::vector<std::string> scalars;   // names of those that were read, or checked and not used
};

// `linear` is a binding of kLinear; its part gets the kind that the files hold, with empty views.
// Activations are not quantised, so scales for them are checked and without effect. A scale that is
// no number, infinite, negative, or 0 where a whole tensor or an input has it, is an error; only a
// NaN for a block of NVFP4 is let through. Errors name the tensor.
Result<LinearTensors> bind_linear(const TensorBinding& linear,
                                  const checkpoint::HfCheckpoint& files);

// The linear that a stored tensor is the weight of, without a part, in the shape [n, k] that the
// tensor says; nothing for what is no weight of a linear.
std::optional<TensorBinding> linear_of(const checkpoint::StoredTensor& stored);

// The scheme whose tensors have such names, when it stores more than codes and scales (integers
// with zero points, NVFP4 with low-rank branches); nothing for names of the formats above.
std::optional<std::string_view> foreign_scheme(std::string_view tensor_name);

// One finite number above 0: F32, BF16 or F16, of shape [] or [1].
Result<float> read_scale(const checkpoint::StoredTensor& stored);

// How many blocks have a NaN for a scale; they count as zeros.
int64_t count_nan_scales(const ops::LinearPart& part);

}  // namespace gallop::model
