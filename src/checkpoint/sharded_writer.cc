#include "checkpoint/sharded_writer.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/json.h"

namespace gallop::checkpoint {
namespace {

uint64_t bytes_of(const TensorSpec& tensor) {
  uint64_t bytes = dtype_bytes(tensor.dtype);
  for (const int64_t extent : tensor.shape) bytes *= static_cast<uint64_t>(extent);
  return bytes;
}

}  // namespace

Result<ShardedWriter> ShardedWriter::create(const std::filesystem::path& directory,
                                            std::vector<TensorSpec> tensors, uint64_t shard_bytes) {
  std::vector<Shard> shards;
  uint64_t total = 0;
  uint64_t filled = 0;
  for (TensorSpec& tensor : tensors) {
    const uint64_t bytes = bytes_of(tensor);
    if (shards.empty() || (filled > 0 && filled + bytes > shard_bytes)) {
      shards.emplace_back();
      filled = 0;
    }
    filled += bytes;
    total += bytes;
    shards.back().tensors.push_back(std::move(tensor));
  }
  if (shards.empty()) return Error{directory.string() + ": a checkpoint without tensors"};
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i].file = shards.size() == 1
                         ? "model.safetensors"
                         : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
  }
  ShardedWriter writer(directory, std::move(shards), total);
  RETURN_IF_ERROR(writer.open_next());
  return writer;
}

ShardedWriter::ShardedWriter(std::filesystem::path directory, std::vector<Shard> shards,
                             uint64_t bytes)
    : directory_(std::move(directory)), shards_(std::move(shards)), bytes_(bytes) {}

ShardedWriter::ShardedWriter(ShardedWriter&& other) noexcept
    : directory_(std::move(other.directory_)),
      shards_(std::move(other.shards_)),
      bytes_(other.bytes_),
      opened_(other.opened_),
      current_(std::move(other.current_)),
      written_(std::exchange(other.written_, {})) {}

ShardedWriter::~ShardedWriter() {
  std::error_code ignored;
  for (const std::filesystem::path& path : written_) std::filesystem::remove(path, ignored);
}

Result<void> ShardedWriter::open_next() {
  const Shard& shard = shards_[opened_];
  ASSIGN_OR_RETURN(SafetensorsWriter writer,
                   SafetensorsWriter::create(directory_ / shard.file, shard.tensors));
  current_.emplace(std::move(writer));
  ++opened_;
  return {};
}

Result<void> ShardedWriter::close_current() {
  RETURN_IF_ERROR(current_->finish());
  written_.push_back(directory_ / shards_[opened_ - 1].file);
  current_.reset();
  return {};
}

bool ShardedWriter::current_holds(std::string_view name) const {
  const std::vector<TensorSpec>& tensors = shards_[opened_ - 1].tensors;
  return std::any_of(tensors.begin(), tensors.end(),
                     [&](const TensorSpec& tensor) { return tensor.name == name; });
}

Result<void> ShardedWriter::append(std::string_view name, std::span<const uint8_t> bytes) {
  if (!current_holds(name)) {
    CHECK_LT(opened_, shards_.size());
    RETURN_IF_ERROR(close_current());
    RETURN_IF_ERROR(open_next());
    CHECK(current_holds(name));
  }
  return current_->append(name, bytes);
}

Result<void> ShardedWriter::finish() {
  CHECK_EQ(opened_, shards_.size());
  RETURN_IF_ERROR(close_current());
  if (shards_.size() > 1) {
    Json map = Json::object();
    for (const Shard& shard : shards_) {
      for (const TensorSpec& tensor : shard.tensors) map[tensor.name] = shard.file;
    }
    const Json index = {{"metadata", {{"total_size", bytes_}}}, {"weight_map", std::move(map)}};
    RETURN_IF_ERROR(save_file(directory_ / "model.safetensors.index.json", index.dump(2) + "\n"));
  }
  written_.clear();
  return {};
}

}  // namespace gallop::checkpoint
