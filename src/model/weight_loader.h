// From a checkpoint directory to typed weights. Matrices stay views of the mapped files, as they
// are stored, packed ones too; vectors are widened to f32 once. Every tensor of the files is either
// bound to a field by weight_table.h and weight_format.h or set aside by name; anything else is an
// error that names the tensor.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/hf_checkpoint.h"
#include "model/config.h"
#include "model/drafter_config.h"
#include "model/weights.h"
#include "tensor/buffer.h"

namespace gallop::model {

// What the views of loaded weights point into. Moving it moves no bytes.
struct WeightStorage {
  checkpoint::HfCheckpoint files;
  Buffer copies;  // vectors as f32, and matrices that lie at an odd address
};

struct LoadedModel {
  ModelConfig config;
  ModelWeights weights;                // views into `storage`
  std::vector<std::string> set_aside;  // tensors of the files without use: MTP, vision, buffers
  int64_t nan_scales = 0;              // NVFP4 blocks whose scale is NaN: they count as zeros
  WeightStorage storage;
};

struct LoadedDrafter {
  DrafterConfig config;
  DrafterWeights weights;  // views into `storage`
  std::vector<std::string> set_aside;
  int64_t nan_scales = 0;
  WeightStorage storage;
};

// Bytes of the tensors that are used: mapped, but each step reads them all.
int64_t weight_bytes(const LoadedModel& model);
int64_t weight_bytes(const LoadedDrafter& drafter);

Result<LoadedModel> load_model(const std::filesystem::path& directory);
Result<LoadedDrafter> load_drafter(const std::filesystem::path& directory,
                                   const ModelConfig& target);

}  // namespace gallop::model
