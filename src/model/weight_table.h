// The one table that binds a tensor's Hugging Face name and shape to a field of the weights.
// Loading and the search for extra tensors both walk it; nothing else in the program spells a name
// of a weight.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "model/drafter_config.h"
#include "model/weights.h"
#include "tensor/dtype.h"

namespace gallop::model {

enum class TensorKind : uint8_t {
  kMatrix,  // used as it is stored: F32, BF16 or F16
  kVector,  // stored in any of these, widened to F32 at load
  kLinear,  // a matrix that may be packed: weight_format.h binds what the files hold for it
  kCodes,   // U8, two values of four bits in a byte
  kE4m3,    // F8_E4M3: values of eight bits, or scales of blocks
};

struct TensorBinding {
  std::string name;            // the whole name in the checkpoint
  std::vector<int64_t> shape;  // as the checkpoint stores it
  TensorKind kind = TensorKind::kMatrix;
  TensorView* field = nullptr;      // where its view belongs; same elements, extents of 1 dropped
  ops::LinearPart* part = nullptr;  // of kLinear, in place of a field
  std::optional<Shape> view = {};   // the view's shape, where it is another one
};

// The dtypes of weights that are not packed.
bool is_weight_dtype(DType dtype);

// Gives `weights` the structure of `config` (layers, mixers, parts) with empty views, and binds
// every tensor to its field; the bindings hold as long as that structure is left alone. `prefix`
// stands before the text model's names: "model." or "model.language_model.". A tied head has no
// binding: its part is to become the embedding.
std::vector<TensorBinding> bind_tensors(const ModelConfig& config, std::string_view prefix,
                                        ModelWeights& weights);

// The same for a drafter; `prefix` is "" or "model.".
std::vector<TensorBinding> bind_tensors(const DrafterConfig& config, std::string_view prefix,
                                        DrafterWeights& weights);

}  // namespace gallop::model
