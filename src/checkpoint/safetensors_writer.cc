#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "checkpoint/safetensors.h"

namespace gallop::checkpoint {
namespace {

constexpr size_t kAlignment = 8;  // the data section begins at a multiple of this

Error system_error(const std::filesystem::path& path, std::string_view what) {
  return Error{fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)),
               ErrorCode::kInvalidInput, path.string()};
}

uint64_t spec_bytes(const TensorSpec& tensor) {
  uint64_t bytes = dtype_bytes(tensor.dtype);
  for (const int64_t extent : tensor.shape) {
    CHECK_GE(extent, 0);
    CHECK(!__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes));
  }
  return bytes;
}

std::string quoted(const std::string& text) { return dump_json(Json(text)); }

// Length, JSON and padding: all bytes before the data section.
std::string header_text(std::span<const TensorSpec> tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      if (json.back() != '{') json += ',';
      json += quoted(key) + ":" + quoted(value);
    }
    json += '}';
  }
  uint64_t offset = 0;
  for (const TensorSpec& tensor : tensors) {
    const uint64_t end = offset + spec_bytes(tensor);
    if (json.size() > 1) json += ',';
    json += fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                        quoted(tensor.name), dtype_name(tensor.dtype), fmt::join(tensor.shape, ","),
                        offset, end);
    offset = end;
  }
  json += '}';
  json.resize((json.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const uint64_t length = json.size();
  std::string text(sizeof(length), '\0');
  std::memcpy(text.data(), &length, sizeof(length));
  return text + json;
}

Result<void> write_all(int descriptor, const std::filesystem::path& path, const uint8_t* data,
                       size_t size, uint64_t offset) {
  while (size > 0) {
    const ssize_t count = ::pwrite(descriptor, data, size, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(path, "cannot write");
    data += count;
    size -= static_cast<size_t>(count);
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

// Leftovers of killed processes with our number may have the first names; so many cannot.
constexpr int kMaxAttempts = 100;

struct Temporary {
  std::filesystem::path name;
  int descriptor;
};

// A neighbour of `path`, so that the rename stays inside one file system.
Result<Temporary> create_temporary(const std::filesystem::path& path) {
  static std::atomic<uint64_t> serial = 0;
  for (int attempt = 1;; ++attempt) {
    std::filesystem::path name = path;
    name += fmt::format(".{}-{}.partial", ::getpid(), ++serial);
    const int descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0) return Temporary{std::move(name), descriptor};
    if (errno != EEXIST || attempt == kMaxAttempts) return system_error(name, "cannot create");
  }
}

Result<void> check_names(const std::filesystem::path& path, std::span<const TensorSpec> tensors) {
  std::unordered_set<std::string_view> names;
  for (const TensorSpec& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      return Error{
          fmt::format("{}: tensor '{}' would be written twice", path.string(), tensor.name),
          ErrorCode::kInvalidInput, tensor.name};
    }
  }
  return {};
}

}  // namespace

Result<SafetensorsWriter> SafetensorsWriter::create(
    const std::filesystem::path& path, std::vector<TensorSpec> tensors,
    const std::map<std::string, std::string>& metadata) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return Error{path.string() + ": exists and is not a regular file", ErrorCode::kInvalidInput,
                 path.string()};
  }
  RETURN_IF_ERROR(check_names(path, tensors));
  // As Hugging Face's writer: wide elements first, so that every tensor is aligned; then by name.
  std::sort(tensors.begin(), tensors.end(), [](const TensorSpec& a, const TensorSpec& b) {
    const size_t a_bytes = dtype_bytes(a.dtype);
    const size_t b_bytes = dtype_bytes(b.dtype);
    return a_bytes != b_bytes ? a_bytes > b_bytes : a.name < b.name;
  });
  const std::string header = header_text(tensors, metadata);
  ASSIGN_OR_RETURN(const Temporary temporary, create_temporary(path));
  SafetensorsWriter writer(path, temporary.name, temporary.descriptor);
  uint64_t offset = header.size();
  for (const TensorSpec& tensor : tensors) {
    const uint64_t end = offset + spec_bytes(tensor);
    writer.cursors_.emplace(tensor.name, Cursor{offset, end});
    offset = end;
  }
  RETURN_IF_ERROR(write_all(temporary.descriptor, temporary.name,
                            reinterpret_cast<const uint8_t*>(header.data()), header.size(), 0));
  return writer;
}

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::filesystem::path temporary,
                                     int descriptor)
    : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

SafetensorsWriter::SafetensorsWriter(SafetensorsWriter&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      cursors_(std::move(other.cursors_)) {}

SafetensorsWriter::~SafetensorsWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

Result<void> SafetensorsWriter::append(std::string_view name, std::span<const uint8_t> bytes) {
  const auto place = cursors_.find(name);
  CHECK(place != cursors_.end());
  Cursor& cursor = place->second;
  CHECK_LE(bytes.size(), cursor.end - cursor.next);
  RETURN_IF_ERROR(write_all(descriptor_, temporary_, bytes.data(), bytes.size(), cursor.next));
  cursor.next += bytes.size();
  return {};
}

Result<void> SafetensorsWriter::finish() {
  CHECK_GE(descriptor_, 0);
  for (const auto& [name, cursor] : cursors_) CHECK_EQ(cursor.next, cursor.end);
  if (::fsync(descriptor_) != 0) return system_error(temporary_, "cannot write");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return system_error(path_, "cannot take this name");
  }
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0) return system_error(path_, "cannot close");
  return {};
}

Result<void> write_safetensors(const std::filesystem::path& path,
                               std::span<const TensorData> tensors,
                               const std::map<std::string, std::string>& metadata) {
  std::vector<TensorSpec> specs;
  for (const TensorData& tensor : tensors) specs.push_back(tensor.spec);
  ASSIGN_OR_RETURN(SafetensorsWriter writer,
                   SafetensorsWriter::create(path, std::move(specs), metadata));
  for (const TensorData& tensor : tensors) {
    RETURN_IF_ERROR(writer.append(tensor.spec.name, tensor.bytes));
  }
  return writer.finish();
}

}  // namespace gallop::checkpoint
