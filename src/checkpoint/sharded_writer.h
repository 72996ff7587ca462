// Writes the weights of a Hugging Face directory: model.safetensors, or shards of a bounded size
// with model.safetensors.index.json. Tensors are appended in the order they were declared, so that
// one shard at a time is open; before finish() an error leaves no shard behind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/safetensors.h"

namespace gallop::checkpoint {

// A shard closes before it would grow beyond this (a single tensor may). Source:
// transformers, PreTrainedModel.save_pretrained, max_shard_size "5GB" of its releases 4.
inline constexpr uint64_t kShardBytes = 5'000'000'000;

class ShardedWriter {
 public:
  static Result<ShardedWriter> create(const std::filesystem::path& directory,
                                      std::vector<TensorSpec> tensors,
                                      uint64_t shard_bytes = kShardBytes);
  ShardedWriter(ShardedWriter&& other) noexcept;
  ShardedWriter& operator=(ShardedWriter&&) = delete;
  ~ShardedWriter();

  // Data of all tensors together.
  uint64_t bytes() const { return bytes_; }
  size_t shards() const { return shards_.size(); }

  // Appends to tensor `name`, which is in the shard of the tensor before it or in the next (CHECK).
  Result<void> append(std::string_view name, std::span<const uint8_t> bytes);
  // Closes the last shard and writes the index where there are several.
  Result<void> finish();

 private:
  struct Shard {
    std::string file;
    std::vector<TensorSpec> tensors;
  };

  ShardedWriter(std::filesystem::path directory, std::vector<Shard> shards, uint64_t bytes);

  Result<void> open_next();
  Result<void> close_current();
  bool current_holds(std::string_view name) const;

  std::filesystem::path directory_;
  std::vector<Shard> shards_;
  uint64_t bytes_ = 0;
  size_t opened_ = 0;  // shards that were opened; the last of them is open while `current_` is
  std::optional<SafetensorsWriter> current_;
  std::vector<std::filesystem::path> written_;  // removed by the destructor unless finished
};

}  // namespace gallop::checkpoint
