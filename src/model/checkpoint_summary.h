// What lies in a checkpoint, told from names, dtypes and shapes alone: also of one that no loader
// takes. Tensors are counted under the module they belong to; a module's format is what its tensors
// make of it, whatever the config says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/hf_checkpoint.h"

namespace gallop::model {

// Modules of one kind and format.
struct ModuleGroup {
  std::string kind;    // "q_proj", "embed_tokens", "vision", "mtp", "norms and vectors"
  std::string format;  // "BF16", "NVFP4 (ModelOpt)", "FP8 (128x128 scales)", ...
  int64_t count = 0;
  int64_t parameters = 0;  // values, whatever their format; scales do not count
  int64_t bytes = 0;       // of all its tensors
};

struct CheckpointSummary {
  int64_t files = 0;
  int64_t tensors = 0;
  int64_t parameters = 0;
  int64_t bytes = 0;
  std::vector<ModuleGroup> groups;  // by bytes, the largest first
  int64_t pre_quant_scales = 0;     // tensors of that name: AWQ's, not folded into what is before
  int64_t block_scales = 0;         // bytes of E4M3 scales
  int64_t nan_scales = 0;           // of those that are NaN: old exports have them
  std::vector<std::string> nan_tensors;  // the first ten that hold some
};

// Reads the block scales, else headers alone.
CheckpointSummary summarise(const checkpoint::HfCheckpoint& files);

}  // namespace gallop::model
