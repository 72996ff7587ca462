// The eight-bit float F8_E4M3 (float8_e4m3fn): sign, four bits of exponent (bias 7), three of
// mantissa; no infinity, largest value 448. Decoding never gives NaN: the two NaN bytes (0x7f,
// 0xff), which only faulty exports hold, count as 0.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace gallop::codec {

inline constexpr float kE4m3Max = 448;
inline constexpr float kE4m3Min = 0x1p-9f;  // the smallest above 0, a subnormal

inline constexpr bool is_e4m3_nan(uint8_t byte) { return (byte & 0x7fu) == 0x7fu; }

// Source: Micikevicius et al., FP8 formats for deep learning, 2022, table 1.
inline constexpr float decode_e4m3(uint8_t byte) {
  if (is_e4m3_nan(byte)) return 0;
  const uint32_t sign = static_cast<uint32_t>(byte & 0x80u) << 24;
  const uint32_t magnitude = byte & 0x7fu;
  const float value = magnitude < 8 ? static_cast<float>(magnitude) * kE4m3Min
                                    : std::bit_cast<float>((magnitude + (120u << 3)) << 20);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
}

// decode_e4m3 of each byte.
inline constexpr std::array<float, 256> kE4m3Values = [] {
  std::array<float, 256> values = {};
  for (size_t byte = 0; byte < values.size(); ++byte) {
    values[byte] = decode_e4m3(static_cast<uint8_t>(byte));
  }
  return values;
}();

// Rounds to nearest, ties to even; what lies beyond 448 becomes 448, NaN becomes a NaN byte.
inline uint8_t encode_e4m3(float value) {
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  const float magnitude = std::abs(value);
  if (std::isnan(value)) return sign | 0x7f;
  if (magnitude >= kE4m3Max) return sign | 0x7e;
  if (magnitude < 0x1p-6f) {  // subnormal: a multiple of the smallest; eight of them are 2^-6
    return sign | static_cast<uint8_t>(std::nearbyint(magnitude / kE4m3Min));
  }
  const uint32_t bits = std::bit_cast<uint32_t>(magnitude);
  const uint32_t rounded = bits + 0x7ffffu + ((bits >> 20) & 1u);
  return sign | static_cast<uint8_t>((rounded >> 20) - (120u << 3));
}

}  // namespace gallop::codec
