#include "base/file.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gallop {
namespace {

Error file_error(const std::filesystem::path& path, std::string_view what) {
  const bool missing = errno == ENOENT;
  return Error{fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)),
               missing ? ErrorCode::kNotFound : ErrorCode::kInvalidInput, path.string()};
}

Error not_regular(const std::filesystem::path& path) {
  return Error{path.string() + ": not a regular file", ErrorCode::kInvalidInput, path.string()};
}

// Leftovers of killed processes with our number may have the first names; so many cannot.
constexpr int kMaxAttempts = 100;

// The name at the end of the links, whether or not something has it.
Result<std::filesystem::path> follow_links(std::filesystem::path path) {
  constexpr int kMaxLinks = 40;  // Linux's own limit (path_resolution(7))
  std::error_code error;
  for (int links = 0; std::filesystem::is_symlink(path, error); ++links) {
    const std::filesystem::path target = std::filesystem::read_symlink(path, error);
    if (error || links == kMaxLinks) {
      errno = error ? error.value() : ELOOP;
      return file_error(path, "cannot follow the link");
    }
    path = path.parent_path() / target;  // which an absolute one replaces
  }
  return path;
}

// Opens a regular file (O_NONBLOCK: a pipe of that name must not block) and tells its size; the
// caller closes the descriptor.
Result<std::pair<int, size_t>> open_regular(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return file_error(path, "cannot open");
  struct stat info = {};
  if (::fstat(descriptor, &info) != 0) {
    const Error error = file_error(path, "cannot stat");
    ::close(descriptor);
    return error;
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(descriptor);
    return not_regular(path);
  }
  return std::pair{descriptor, static_cast<size_t>(info.st_size)};
}

}  // namespace

bool file_exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) || error;
}

Result<std::string> read_file(const std::filesystem::path& path, size_t max_bytes) {
  ASSIGN_OR_RETURN(const auto opened, open_regular(path));
  const auto [descriptor, size] = opened;
  if (size > max_bytes) {
    ::close(descriptor);
    return Error{fmt::format("{}: {} bytes, the limit is {}", path.string(), size, max_bytes),
                 ErrorCode::kTooLarge, path.string()};
  }
  std::string text(size, '\0');
  size_t done = 0;
  ssize_t count = 1;
  while (done < size && count != 0) {
    count = ::read(descriptor, text.data() + done, size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const Error error = file_error(path, "cannot read");
      ::close(descriptor);
      return error;
    }
    done += static_cast<size_t>(count);
  }
  ::close(descriptor);
  if (done != size) {
    return Error{fmt::format("{}: ended after {} of its {} bytes", path.string(), done, size),
                 ErrorCode::kInvalidInput, path.string()};
  }
  return text;
}

Result<ReplacingFile> ReplacingFile::create(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::filesystem::path target, follow_links(path));
  struct stat info = {};
  if (::lstat(target.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) return not_regular(path);
  static std::atomic<uint64_t> serial = 0;
  for (int attempt = 1;; ++attempt) {
    std::filesystem::path partial = target;
    partial += fmt::format(".{}-{}.partial", ::getpid(), ++serial);
    const int descriptor = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0) return ReplacingFile(target, std::move(partial), descriptor);
    if (errno != EEXIST || attempt == kMaxAttempts) return file_error(partial, "cannot create");
  }
}

ReplacingFile::ReplacingFile(std::filesystem::path path, std::filesystem::path partial,
                             int descriptor)
    : path_(std::move(path)), partial_(std::move(partial)), descriptor_(descriptor) {}

ReplacingFile::ReplacingFile(ReplacingFile&& other) noexcept
    : path_(std::move(other.path_)),
      partial_(std::move(other.partial_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

ReplacingFile::~ReplacingFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(partial_.c_str());
}

Result<void> ReplacingFile::write(std::span<const uint8_t> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return file_error(partial_, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

Result<void> ReplacingFile::commit() {
  CHECK_GE(descriptor_, 0);
  if (::fsync(descriptor_) != 0) return file_error(partial_, "cannot write");
  if (::rename(partial_.c_str(), path_.c_str()) != 0) {
    return file_error(path_, "cannot take this name");
  }
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0) return file_error(path_, "cannot close");
  return {};
}

Result<void> save_file(const std::filesystem::path& path, std::string_view content) {
  ASSIGN_OR_RETURN(ReplacingFile file, ReplacingFile::create(path));
  RETURN_IF_ERROR(
      file.write({reinterpret_cast<const uint8_t*>(content.data()), content.size()}, 0));
  return file.commit();
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const auto opened, open_regular(path));
  const auto [descriptor, size] = opened;
  if (size == 0) {
    ::close(descriptor);
    return MappedFile(nullptr, 0);
  }
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int map_errno = errno;
  ::close(descriptor);
  errno = map_errno;
  if (data == MAP_FAILED) return file_error(path, "cannot map");
  return MappedFile(static_cast<const uint8_t*>(data), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), size_);
}

}  // namespace gallop
