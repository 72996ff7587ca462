// What lies in a checkpoint, told from names, dtypes and shapes alone: also of one that no loader
// takes. A linear is what weight_format.h makes of its tensors, whatever the config says, and has
// one format and all their bytes; what that refuses is counted tensor by tensor.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/hf_checkpoint.h"

namespace gallop::model {

// Modules of one kind and format.
struct ModuleGroup {
  std::string kind;    // "q_proj", "embed_tokens", "vision", "mtp", "norms and vectors"
  std::string format;  // "BF16", "NVFP4 (ModelOpt)", "FP8 (128x128 scales)", ...
  int64_t count = 0;
  int64_t parameters = 0;         // values, whatever their format; scales do not count
  int64_t bytes = 0;              // of all its tensors
  std::set<int64_t> layers = {};  // of those within layers
  int64_t pre_quant_scales = 0;   // linears with AWQ's scale for their inputs: not folded
  int64_t nan_scales = 0;         // NVFP4 blocks whose scale is NaN: old exports have them
};

struct CheckpointSummary {
  int64_t files = 0;
  int64_t tensors = 0;
  int64_t parameters = 0;
  int64_t bytes = 0;
  std::vector<ModuleGroup> groups;       // by bytes, the largest first
  int64_t pre_quant_scales = 0;          // of all groups
  int64_t nan_scales = 0;                // of all groups
  int64_t block_scales = 0;              // NVFP4 blocks
  std::vector<std::string> nan_tensors;  // the first ten that hold some
};

// Reads scales, else headers alone.
CheckpointSummary summarise(const checkpoint::HfCheckpoint& files);

}  // namespace gallop::model
