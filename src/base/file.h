// Regular files: read into memory, mapped read-only, replaced. What is no regular file is neither
// read nor replaced; links are followed. Errors name the path and the system's reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
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

// A file that takes the place of another when it is whole. Until then, and after an error, it is a
// neighbour under a name of its own, which the destructor removes.
class ReplacingFile {
 public:
  static Result<ReplacingFile> create(const std::filesystem::path& path);
  ReplacingFile(ReplacingFile&& other) noexcept;
  ReplacingFile& operator=(ReplacingFile&&) = delete;
  ReplacingFile(const ReplacingFile&) = delete;
  ReplacingFile& operator=(const ReplacingFile&) = delete;
  ~ReplacingFile();

  Result<void> write(std::span<const uint8_t> bytes, uint64_t offset);
  // Flushes to the disk and takes the name; the last call.
  Result<void> commit();

 private:
  ReplacingFile(std::filesystem::path path, std::filesystem::path partial, int descriptor);

  std::filesystem::path path_;  // of the file itself, behind all links
  std::filesystem::path partial_;
  int descriptor_ = -1;
};

// Gives the file this content.
Result<void> save_file(const std::filesystem::path& path, std::string_view content);

// Appends what `addition` makes of the content so far (of a new file: none): all of it, or nothing
// and no new file. Who appends by this function, in any process, waits for the others.
Result<void> append_to_file(
    const std::filesystem::path& path, size_t max_bytes,
    const std::function<Result<std::string>(const std::string& content)>& addition);

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
