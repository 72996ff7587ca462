#include <algorithm>
#include <cstring>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "checkpoint/safetensors.h"

namespace gallop::checkpoint {
namespace {

constexpr size_t kAlignment = 8;  // the data section begins at a multiple of this

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
  RETURN_IF_ERROR(check_names(path, tensors));
  // As Hugging Face's writer: wide elements first, so that every tensor is aligned; then by name.
  std::sort(tensors.begin(), tensors.end(), [](const TensorSpec& a, const TensorSpec& b) {
    const size_t a_bytes = dtype_bytes(a.dtype);
    const size_t b_bytes = dtype_bytes(b.dtype);
    return a_bytes != b_bytes ? a_bytes > b_bytes : a.name < b.name;
  });
  const std::string header = header_text(tensors, metadata);
  ASSIGN_OR_RETURN(ReplacingFile file, ReplacingFile::create(path));
  SafetensorsWriter writer(std::move(file));
  uint64_t offset = header.size();
  for (const TensorSpec& tensor : tensors) {
    const uint64_t end = offset + spec_bytes(tensor);
    writer.cursors_.emplace(tensor.name, Cursor{offset, end});
    offset = end;
  }
  RETURN_IF_ERROR(
      writer.file_.write({reinterpret_cast<const uint8_t*>(header.data()), header.size()}, 0));
  return writer;
}

Result<void> SafetensorsWriter::append(std::string_view name, std::span<const uint8_t> bytes) {
  const auto place = cursors_.find(name);
  CHECK(place != cursors_.end());
  Cursor& cursor = place->second;
  CHECK_LE(bytes.size(), cursor.end - cursor.next);
  RETURN_IF_ERROR(file_.write(bytes, cursor.next));
  cursor.next += bytes.size();
  return {};
}

Result<void> SafetensorsWriter::finish() {
  for (const auto& [name, cursor] : cursors_) CHECK_EQ(cursor.next, cursor.end);
  return file_.commit();
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
