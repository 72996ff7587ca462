// NVFP4: sixteen consecutive values along k share an E4M3 scale, each value is four bits of E2M1
// (sign, two of exponent, one of mantissa: 0, 0.5, 1, 1.5, 2, 3, 4, 6), and a whole tensor shares
// an F32 scale: value = e2m1 * block scale * global scale. The product of the first two is exact in
// F32. A byte holds two codes, the one of the even k in the low half.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace gallop::codec {

inline constexpr int64_t kNvfp4Block = 16;

// The values of the sixteen codes; code 8 is -0 and counts as 0.
inline constexpr std::array<float, 16> kE2m1Values = {0, 0.5f,  1,  1.5f,  2,  3,  4,  6,
                                                      0, -0.5f, -1, -1.5f, -2, -3, -4, -6};

// Rounds to nearest, ties to the even code; beyond 6 becomes 6, NaN becomes code 7. Source:
// NVIDIA Model-Optimizer, modelopt/torch/quantization/qtensor/nvfp4_tensor.py, _cast_fp4.
uint8_t encode_e2m1(float value);

// The global scale of a tensor whose largest magnitude is `amax` (finite): amax / (6 * 448). For a
// tensor of zeros it is 1, where the source divides by zero. Source: nvfp4_tensor.py,
// get_weights_scaling_factor_2.
float nvfp4_global_scale(float amax);

// Encodes one row; `values` are finite and a multiple of 16, `codes` half as many bytes, `scales`
// one for each block. Bit for bit the source's dynamic path from release 0.45: block scales are
// clamped to [2^-9, 448], a block of zeros has scale 1. Source: nvfp4_tensor.py,
// get_weights_scaling_factor and quantize.
void encode_nvfp4_row(std::span<const float> values, float global_scale, std::span<uint8_t> codes,
                      std::span<uint8_t> scales);

// The inverse: value = (e2m1 * block scale) * global scale, rounded once. A block whose scale is
// NaN is zero: its codes hold no information. Source: nvfp4_tensor.py, dequantize.
void decode_nvfp4_row(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                      float global_scale, std::span<float> values);

}  // namespace gallop::codec
