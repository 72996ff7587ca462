// Fuzzes the safetensors reader, which must never accept a tensor that lies outside its file. The
// input is taken as a whole file, and as a bare JSON header before data of a size that it chooses.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "checkpoint/safetensors.h"

namespace {

using gallop::checkpoint::SafetensorsHeader;
using gallop::checkpoint::TensorInfo;

// Contiguous from 0 to the end, and as many bytes as shape and dtype say.
void check_header(const SafetensorsHeader& header, uint64_t data_bytes) {
  uint64_t offset = 0;
  for (const TensorInfo& tensor : header.tensors) {
    CHECK_EQ(tensor.begin, offset);
    CHECK_LE(tensor.end, data_bytes);
    CHECK_EQ(static_cast<uint64_t>(tensor.elements()) * gallop::dtype_bytes(tensor.dtype),
             tensor.end - tensor.begin);
    offset = tensor.end;
  }
  CHECK_EQ(offset, data_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = gallop::checkpoint::parse_safetensors({data, size});
  if (file.ok()) {
    CHECK_LE(file->data_begin, size);
    check_header(file->header, size - file->data_begin);
  }
  if (size < 2) return 0;
  const uint64_t data_bytes = data[0] + 256u * data[1];
  const std::string_view json(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto header = gallop::checkpoint::parse_safetensors_header(json, data_bytes);
  if (header.ok()) check_header(*header, data_bytes);
  return 0;
}
