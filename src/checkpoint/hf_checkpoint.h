// A Hugging Face model directory: config.json and the tensors of model.safetensors, or of the
// shards that model.safetensors.index.json lists. Owns the mapped files. Knows names and bytes, not
// what the tensors mean.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "checkpoint/safetensors.h"

namespace gallop::checkpoint {

// Tensor name and shard file, sorted by tensor name.
using ShardIndex = std::vector<std::pair<std::string, std::string>>;

// Parses the text of model.safetensors.index.json. Shard names are relative and stay inside the
// directory; errors name the entry.
Result<ShardIndex> parse_shard_index(std::string_view json);

// DIR/config.json; errors begin with the path.
Result<Json> load_config_json(const std::filesystem::path& directory);

// A tensor and where it is; valid while the checkpoint lives, also after it was moved.
struct StoredTensor {
  const TensorInfo* info = nullptr;
  std::span<const uint8_t> bytes;
  const std::filesystem::path* file = nullptr;
};

class HfCheckpoint {
 public:
  // Maps the files and checks headers and index against each other; reads no tensor data.
  static Result<HfCheckpoint> open(const std::filesystem::path& directory);

  const std::filesystem::path& directory() const { return directory_; }
  const Json& config() const { return config_; }
  const std::vector<SafetensorsFile>& files() const { return files_; }
  // All names, sorted.
  std::vector<std::string_view> names() const;
  // A null `info` when there is no such tensor.
  StoredTensor find(std::string_view name) const;

 private:
  HfCheckpoint(std::filesystem::path directory, Json config, std::vector<SafetensorsFile> files);

  std::filesystem::path directory_;
  Json config_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::pair<size_t, size_t>, std::less<>> places_;  // file, tensor
};

}  // namespace gallop::checkpoint
