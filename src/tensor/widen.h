// From the float dtypes that weights and activations have to f32.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace gallop {

// out[i] = element i of `from`, exactly; `from` may begin at any address. F32, BF16 or F16 (CHECK).
void widen(const void* from, DType dtype, int64_t count, float* out);

}  // namespace gallop
