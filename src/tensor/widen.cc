#include "tensor/widen.h"

#include <cstring>

#include "base/check.h"
#include "base/float_types.h"

namespace gallop {
namespace {

template <float (*CONVERT)(uint16_t)>
void widen_halves(const void* from, int64_t count, float* out) {
  const auto* bytes = static_cast<const uint8_t*>(from);
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, bytes + i * static_cast<int64_t>(sizeof(bits)), sizeof(bits));
    out[i] = CONVERT(bits);
  }
}

}  // namespace

void widen(const void* from, DType dtype, int64_t count, float* out) {
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, from, static_cast<size_t>(count) * sizeof(float));
      return;
    case DType::kBF16:
      return widen_halves<bf16_to_f32>(from, count, out);
    case DType::kF16:
      return widen_halves<f16_to_f32>(from, count, out);
    default:
      check_failed(__FILE__, __LINE__, "only F32, BF16 and F16 are widened");
  }
}

}  // namespace gallop
