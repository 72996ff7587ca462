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

Result<SafetensorsLayout> parse_safetensors(std::span<const uint8_t> file) {
  ASSIGN_OR_RETURN(const uint64_t length, header_bytes(file));
  const std::string_view json(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  const uint64_t data_begin = kLengthBytes + length;
  ASSIGN_OR_RETURN(SafetensorsHeader header,
                   parse_safetensors_header(json, file.size() - data_begin));
  return SafetensorsLayout{.header = std::move(header), .data_begin = data_begin};
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  Result<SafetensorsLayout> layout = parse_safetensors(file.bytes());
  if (!layout.ok()) {
    const Error& error = layout.error();
    return Error{path.string() + ": " + error.message, error.code,
                 error.param.empty() ? path.string() : error.param};
  }
  return SafetensorsFile(path, std::move(file), std::move(layout).value());
}

SafetensorsFile::SafetensorsFile(std::filesystem::path path, MappedFile file,
                                 SafetensorsLayout layout)
    : path_(std::move(path)), file_(std::move(file)), layout_(std::move(layout)) {
  for (size_t i = 0; i < tensors().size(); ++i) by_name_[tensors()[i].name] = i;
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto place = by_name_.find(name);
  return place == by_name_.end() ? nullptr : &tensors()[place->second];
}

std::span<const uint8_t> SafetensorsFile::bytes(const TensorInfo& tensor) const {
  return file_.bytes().subspan(layout_.data_begin + tensor.begin, tensor.end - tensor.begin);
}

}  // namespace gallop::checkpoint
