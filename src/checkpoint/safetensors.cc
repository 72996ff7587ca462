#include "checkpoint/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>

namespace gallop::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensors are little-endian and used where they lie");

// The format's own cap on the JSON header.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr uint64_t kLengthBytes = 8;  // u64 little-endian before the header

// The header's length, checked against the file.
Result<uint64_t> header_bytes(std::span<const uint8_t> file) {
  if (file.size() < kLengthBytes) {
    return Error{fmt::format("{} bytes are no safetensors file", file.size())};
  }
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    return Error{
        fmt::format("the header claims {} bytes, the limit is {}", length, kMaxHeaderBytes)};
  }
  if (length > file.size() - kLengthBytes) {
    return Error{fmt::format("truncated: the header claims {} bytes, the file has {} after it",
                             length, file.size() - kLengthBytes)};
  }
  return length;
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  const auto named = [&](const Error& error) {
    return Error{path.string() + ": " + error.message, error.code,
                 error.param.empty() ? path.string() : error.param};
  };
  const std::span<const uint8_t> bytes = file.bytes();
  const Result<uint64_t> length = header_bytes(bytes);
  if (!length.ok()) return named(length.error());
  const std::string_view json(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, *length);
  const uint64_t data_begin = kLengthBytes + *length;
  Result<SafetensorsHeader> header = parse_safetensors_header(json, bytes.size() - data_begin);
  if (!header.ok()) return named(header.error());
  return SafetensorsFile(path, std::move(file), std::move(header).value(), data_begin);
}

SafetensorsFile::SafetensorsFile(std::filesystem::path path, MappedFile file,
                                 SafetensorsHeader header, uint64_t data_begin)
    : path_(std::move(path)),
      file_(std::move(file)),
      header_(std::move(header)),
      data_begin_(data_begin) {
  for (size_t i = 0; i < header_.tensors.size(); ++i) by_name_[header_.tensors[i].name] = i;
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto place = by_name_.find(name);
  return place == by_name_.end() ? nullptr : &header_.tensors[place->second];
}

std::span<const uint8_t> SafetensorsFile::bytes(const TensorInfo& tensor) const {
  return file_.bytes().subspan(data_begin_ + tensor.begin, tensor.end - tensor.begin);
}

Result<TensorView> SafetensorsFile::view(std::string_view name) const {
  const auto fail = [&](const std::string& what) {
    return Error{fmt::format("{}: tensor '{}' {}", path_.string(), name, what),
                 ErrorCode::kInvalidInput, std::string(name)};
  };
  const TensorInfo* tensor = find(name);
  if (tensor == nullptr) return fail("is missing");
  Result<Shape> shape = to_shape(tensor->shape);
  if (!shape.ok()) return fail(shape.error().message);
  const uint8_t* data = bytes(*tensor).data();
  if (reinterpret_cast<uintptr_t>(data) % dtype_bytes(tensor->dtype) != 0) {
    return fail("begins at an address that is no multiple of its element size");
  }
  return TensorView(const_cast<uint8_t*>(data), tensor->dtype, *shape);
}

Result<Shape> to_shape(std::span<const int64_t> shape) {
  switch (shape.size()) {
    case 0:
      return Shape{};
    case 1:
      return Shape{shape[0]};
    case 2:
      return Shape{shape[0], shape[1]};
    case 3:
      return Shape{shape[0], shape[1], shape[2]};
    case 4:
      return Shape{shape[0], shape[1], shape[2], shape[3]};
    default:
      return Error{fmt::format("has {} dimensions, at most 4 can be viewed", shape.size())};
  }
}

}  // namespace gallop::checkpoint
