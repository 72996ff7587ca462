// Writes random checkpoints of any shape of the family: for measuring and testing where no trained
// one is at hand. The tensors are those of weight_table.h; values depend on the seed and on names
// alone, whatever the threads; memory is bounded by a few pieces of a tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

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

// A directory to write a checkpoint into: made, or found empty. The end of this object removes
// what was made, those around it too, where nothing is in it.
class NewDirectory {
 public:
  static Result<NewDirectory> make(const std::filesystem::path& path);
  NewDirectory(NewDirectory&&) noexcept = default;
  NewDirectory& operator=(NewDirectory&&) = delete;
  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;
  ~NewDirectory();

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit NewDirectory(std::filesystem::path path);

  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // innermost first
};

// `config` is a whole config.json that parse_model_config accepts but for its quantization_config,
// which is replaced. Writes it (last: a directory without it is unfinished), generation_config.json
// and the weights into `directory`. Errors: the config's, with its key; a disk that is too small.
Result<WrittenCheckpoint> write_random_model(const NewDirectory& directory, Json config,
                                             const RandomCheckpointOptions& options);

// The same for a DFlash drafter.
Result<WrittenCheckpoint> write_random_drafter(const NewDirectory& directory, Json config,
                                               const RandomCheckpointOptions& options);

}  // namespace gallop::model
