#include "base/file.h"

#include <cerrno>
#include <cstring>
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
    return Error{path.string() + ": not a regular file", ErrorCode::kInvalidInput, path.string()};
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

Result<void> save_file(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::path partial = path;
  partial += fmt::format(".{}.partial", ::getpid());
  const int descriptor = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) return file_error(partial, "cannot create");
  const auto fail = [&](const std::filesystem::path& name, std::string_view what) {
    const Error error = file_error(name, what);
    ::unlink(partial.c_str());
    return error;
  };
  for (size_t done = 0; done < content.size();) {
    const ssize_t count = ::write(descriptor, content.data() + done, content.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const Error error = fail(partial, "cannot write");
      ::close(descriptor);
      return error;
    }
    done += static_cast<size_t>(count);
  }
  const bool flushed = ::fsync(descriptor) == 0;
  if (::close(descriptor) != 0 || !flushed) return fail(partial, "cannot write");
  if (::rename(partial.c_str(), path.c_str()) != 0) return fail(path, "cannot take this name");
  return {};
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
