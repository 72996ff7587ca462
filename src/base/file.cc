#include "base/file.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
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

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

// Opens a regular file (O_NONBLOCK: a pipe of that name must not block).
Result<Descriptor> open_regular(const std::filesystem::path& path, int flags) {
  Descriptor file(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0666));
  if (file.number() < 0) return file_error(path, "cannot open");
  struct stat info = {};
  if (::fstat(file.number(), &info) != 0) return file_error(path, "cannot stat");
  if (!S_ISREG(info.st_mode)) return not_regular(path);
  return file;
}

Result<size_t> size_of(const Descriptor& file, const std::filesystem::path& path) {
  struct stat info = {};
  if (::fstat(file.number(), &info) != 0) return file_error(path, "cannot stat");
  return static_cast<size_t>(info.st_size);
}

Result<std::string> read_all(const Descriptor& file, const std::filesystem::path& path,
                             size_t max_bytes) {
  ASSIGN_OR_RETURN(const size_t size, size_of(file, path));
  if (size > max_bytes) {
    return Error{fmt::format("{}: {} bytes, the limit is {}", path.string(), size, max_bytes),
                 ErrorCode::kTooLarge, path.string()};
  }
  std::string text(size, '\0');
  size_t done = 0;
  ssize_t count = 1;
  while (done < size && count != 0) {
    count = ::read(file.number(), text.data() + done, size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return file_error(path, "cannot read");
    done += static_cast<size_t>(count);
  }
  if (done != size) {
    return Error{fmt::format("{}: ended after {} of its {} bytes", path.string(), done, size),
                 ErrorCode::kInvalidInput, path.string()};
  }
  return text;
}

Result<void> write_at(int descriptor, const std::filesystem::path& path,
                      std::span<const uint8_t> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return file_error(path, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Until the descriptor is closed, others wait here. They may have waited for a file that was
// removed.
Result<Descriptor> open_locked(const std::filesystem::path& path) {
  for (;;) {
    ASSIGN_OR_RETURN(Descriptor file, open_regular(path, O_RDWR | O_CREAT));
    while (::flock(file.number(), LOCK_EX) != 0) {
      if (errno != EINTR) return file_error(path, "cannot lock");
    }
    struct stat info = {};
    if (::fstat(file.number(), &info) != 0) return file_error(path, "cannot stat");
    if (info.st_nlink > 0) return file;
  }
}

Result<void> append_locked(
    const Descriptor& file, const std::filesystem::path& path, size_t max_bytes,
    const std::function<Result<std::string>(const std::string& content)>& addition) {
  ASSIGN_OR_RETURN(const std::string content, read_all(file, path, max_bytes));
  ASSIGN_OR_RETURN(const std::string added, addition(content));
  Result<void> written = write_at(file.number(), path, bytes_of(added), content.size());
  if (written.ok() && ::fsync(file.number()) != 0) written = file_error(path, "cannot write");
  if (!written.ok() && ::ftruncate(file.number(), static_cast<off_t>(content.size())) != 0) {
    return file_error(path, "cannot take back what was written");
  }
  return written;
}

}  // namespace

bool file_exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) || error;
}

Result<std::string> read_file(const std::filesystem::path& path, size_t max_bytes) {
  ASSIGN_OR_RETURN(const Descriptor file, open_regular(path, O_RDONLY));
  return read_all(file, path, max_bytes);
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
    if (errno != EEXIST || attempt == kMaxAttempts) return file_error(path, "cannot create");
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
  return write_at(descriptor_, path_, bytes, offset);
}

Result<void> ReplacingFile::commit() {
  CHECK_GE(descriptor_, 0);
  if (::fsync(descriptor_) != 0) return file_error(path_, "cannot write");
  if (::rename(partial_.c_str(), path_.c_str()) != 0) {
    return file_error(path_, "cannot take this name");
  }
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0) return file_error(path_, "cannot close");
  return {};
}

Result<void> save_file(const std::filesystem::path& path, std::string_view content) {
  ASSIGN_OR_RETURN(ReplacingFile file, ReplacingFile::create(path));
  RETURN_IF_ERROR(file.write(bytes_of(content), 0));
  return file.commit();
}

Result<void> append_to_file(
    const std::filesystem::path& path, size_t max_bytes,
    const std::function<Result<std::string>(const std::string& content)>& addition) {
  struct stat info = {};
  const bool found = ::stat(path.c_str(), &info) == 0;
  // Opening a device for writing may already do something.
  if (found && !S_ISREG(info.st_mode)) return not_regular(path);
  ASSIGN_OR_RETURN(const std::filesystem::path target, follow_links(path));
  ASSIGN_OR_RETURN(const Descriptor file, open_locked(path));
  const Result<void> appended = append_locked(file, path, max_bytes, addition);
  if (appended.ok() || found) return appended;
  ASSIGN_OR_RETURN(const size_t size, size_of(file, path));
  if (size == 0) ::unlink(target.c_str());  // made here
  return appended;
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const Descriptor file, open_regular(path, O_RDONLY));
  ASSIGN_OR_RETURN(const size_t size, size_of(file, path));
  if (size == 0) return MappedFile(nullptr, 0);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number(), 0);
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
