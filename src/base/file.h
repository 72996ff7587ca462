// Whole files: read into memory, mapped read-only, written. Errors name the path and the system's
// reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace gallop {

// False only where nothing has this name: what cannot be looked at is for the read that follows to
// report.
bool file_exists(const std::filesystem::path& path);

// The file's bytes; an error when it is missing, unreadable or larger than `max_bytes`.
Result<std::string> read_file(const std::filesystem::path& path, size_t max_bytes);

// Gives the file this content; before it is all on the disk the old file stays, and after an error.
Result<void> save_file(const std::filesystem::path& path, std::string_view content);

// A read-only private mapping of a regular file; unmapped when the owner dies. Pages are read when
// they are touched. Truncating the file while it is mapped is the one thing this cannot survive.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const uint8_t> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace gallop
