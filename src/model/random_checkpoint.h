// Writes random checkpoints of any shape of the family: for measuring and testing where no trained
// one is at hand. The tensors are those of weight_table.h; values depend on the seed and on names
// alone, whatever the threads; memory is bounded by a few pieces of a tensor.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/json.h"
#include "base/result.h"

namespace gallop::model {

enum class RandomFormat : uint8_t {
  kBF16,
  kNvfp4,  // as ModelOpt 0.45 quantises by default: all linears but head and in_proj_a, in_proj_b
};

struct RandomCheckpointOptions {
  RandomFormat format = RandomFormat::kBF16;
  uint64_t seed = 0;
  int threads = 1;
};

struct WrittenCheckpoint {
  int64_t tensors = 0;
  int64_t parameters = 0;  // values, whatever their format
  int64_t bytes = 0;       // of tensors
  int64_t shards = 0;
};

// Nothing is there, or an empty directory: where a checkpoint can be written.
Result<void> check_new_directory(const std::filesystem::path& path);

// `config` is a whole config.json that parse_model_config accepts but for its quantization_config,
// which is replaced. Writes it (last: a directory without it is unfinished), generation_config.json
// and the weights into `directory`, which is made and must hold nothing. Errors: the config's, with
// its key; a directory that is not empty; a disk that is too small.
Result<WrittenCheckpoint> write_random_model(const std::filesystem::path& directory, Json config,
                                             const RandomCheckpointOptions& options);

// The same for a DFlash drafter.
Result<WrittenCheckpoint> write_random_drafter(const std::filesystem::path& directory, Json config,
                                               const RandomCheckpointOptions& options);

}  // namespace gallop::model
