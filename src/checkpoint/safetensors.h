// The safetensors format: a reader over a mapped file whose header was checked as a whole (known
// dtypes, sizes, no overlap, no hole, nothing outside the file), and a writer that leaves either
// the finished file or none. Bytes stay where they are; nothing here interprets them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "tensor/dtype.h"

namespace gallop::checkpoint {

// "[3, 128]"; a stored tensor may have more dimensions than a TensorView.
std::string shape_text(std::span<const int64_t> shape);

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // outermost first; empty: a scalar
  uint64_t begin = 0;          // bytes from the start of the data section, half-open
  uint64_t end = 0;

  int64_t elements() const;
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;  // __metadata__
  std::vector<TensorInfo> tensors;              // in the order of their data
};

// Parses the JSON header of a file whose data section has `data_bytes`. Errors name the tensor.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view json, uint64_t data_bytes);

// A whole file's bytes: the length word, the header, and where the data section begins.
struct SafetensorsLayout {
  SafetensorsHeader header;
  uint64_t data_begin = 0;  // bytes from the start of the file
};

// Errors name the tensor, or what is wrong with the file.
Result<SafetensorsLayout> parse_safetensors(std::span<const uint8_t> file);

class SafetensorsFile {
 public:
  // Errors begin with the path.
  static Result<SafetensorsFile> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::map<std::string, std::string>& metadata() const { return layout_.header.metadata; }
  const std::vector<TensorInfo>& tensors() const { return layout_.header.tensors; }
  // Nothing when there is no such tensor.
  const TensorInfo* find(std::string_view name) const;
  // The bytes of one of this file's tensors, valid while the file is open.
  std::span<const uint8_t> bytes(const TensorInfo& tensor) const;

 private:
  SafetensorsFile(std::filesystem::path path, MappedFile file, SafetensorsLayout layout);

  std::filesystem::path path_;
  MappedFile file_;
  SafetensorsLayout layout_;
  std::map<std::string, size_t, std::less<>> by_name_;
};

// What the writer must know of a tensor before its bytes exist.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
};

// Writes a file tensor by tensor, in any order and in pieces, so that the whole never has to be in
// memory. The file appears under its name in finish(); before that, and after an error, there is
// only what ReplacingFile removes.
class SafetensorsWriter {
 public:
  static Result<SafetensorsWriter> create(const std::filesystem::path& path,
                                          std::vector<TensorSpec> tensors,
                                          const std::map<std::string, std::string>& metadata = {
                                              {"format", "pt"}});

  // Appends to the bytes already written of tensor `name` (CHECK: declared, and not beyond its
  // end).
  Result<void> append(std::string_view name, std::span<const uint8_t> bytes);
  template <typename T>
  Result<void> append(std::string_view name, std::span<const T> values) {
    return append(name, {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
  }
  // Flushes to the disk and gives the file its name (CHECK: every tensor is complete).
  Result<void> finish();

 private:
  struct Cursor {
    uint64_t next = 0;  // offsets in the file
    uint64_t end = 0;
  };

  explicit SafetensorsWriter(ReplacingFile file) : file_(std::move(file)) {}

  ReplacingFile file_;
  std::map<std::string, Cursor, std::less<>> cursors_;
};

// A tensor whose bytes are in memory.
struct TensorData {
  TensorSpec spec;
  std::span<const uint8_t> bytes;  // as many as the spec says
};

// Writes a whole file at once.
Result<void> write_safetensors(const std::filesystem::path& path,
                               std::span<const TensorData> tensors,
                               const std::map<std::string, std::string>& metadata = {
                                   {"format", "pt"}});

}  // namespace gallop::checkpoint
