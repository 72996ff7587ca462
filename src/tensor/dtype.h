// Element types, named as safetensors names them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace gallop {

enum class DType : uint8_t { kF32, kBF16, kF16, kI32, kI64, kU8, kF8E4M3, kBool };

// Bytes of one element.
constexpr size_t dtype_bytes(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBF16:
    case DType::kF16:
      return 2;
    case DType::kI64:
      return 8;
    case DType::kU8:
    case DType::kF8E4M3:
    case DType::kBool:
      return 1;
  }
  return 0;
}

// "F32", "BF16", ...
std::string_view dtype_name(DType dtype);

// The inverse of dtype_name; nothing for a name that is not in the list.
std::optional<DType> dtype_from_name(std::string_view name);

}  // namespace gallop
