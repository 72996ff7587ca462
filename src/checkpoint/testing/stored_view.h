// What tests compare with: stored tensors as views.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "checkpoint/safetensors.h"
#include "tensor/tensor_view.h"

namespace gallop::checkpoint {

// Read-only, while the file is open; empty when there is no such tensor. At most three dimensions,
// at an address that fits the dtype (CHECK).
inline TensorView stored_view(const SafetensorsFile& file, std::string_view name) {
  const TensorInfo* tensor = file.find(name);
  if (tensor == nullptr) return {};
  const std::vector<int64_t>& extents = tensor->shape;
  CHECK_LE(extents.size(), 3u);
  Shape shape;
  if (extents.size() == 1) shape = {extents[0]};
  if (extents.size() == 2) shape = {extents[0], extents[1]};
  if (extents.size() == 3) shape = {extents[0], extents[1], extents[2]};
  auto* data = const_cast<uint8_t*>(file.bytes(*tensor).data());
  CHECK_EQ(reinterpret_cast<uintptr_t>(data) % dtype_bytes(tensor->dtype), 0u);
  return TensorView(data, tensor->dtype, shape);
}

}  // namespace gallop::checkpoint
