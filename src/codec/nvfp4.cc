#include "codec/nvfp4.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "codec/e4m3.h"

namespace gallop::codec {
namespace {

constexpr float kE2m1Max = 6;
constexpr size_t kBlock = static_cast<size_t>(kNvfp4Block);

uint8_t block_scale(std::span<const float> block, float global_scale) {
  float amax = 0;
  for (const float value : block) amax = std::max(amax, std::abs(value));
  const float scale = amax / (kE2m1Max * global_scale);
  return encode_e4m3(scale == 0 ? 1 : std::clamp(scale, kE4m3Min, kE4m3Max));
}

}  // namespace

uint8_t encode_e2m1(float value) {
  const float magnitude = std::abs(value);
  // The middles between neighbours; each comparison is written so that NaN passes it.
  const int code = !(magnitude <= 0.25f) + !(magnitude < 0.75f) + !(magnitude <= 1.25f) +
                   !(magnitude < 1.75f) + !(magnitude <= 2.5f) + !(magnitude < 3.5f) +
                   !(magnitude <= 5.0f);
  return static_cast<uint8_t>(code | (value < 0 ? 8 : 0));
}

float nvfp4_global_scale(float amax) { return amax > 0 ? amax / (kE2m1Max * kE4m3Max) : 1; }

void encode_nvfp4_row(std::span<const float> values, float global_scale, std::span<uint8_t> codes,
                      std::span<uint8_t> scales) {
  CHECK(values.size() % kBlock == 0 && codes.size() * 2 == values.size() &&
        scales.size() * kBlock == values.size());
  for (size_t b = 0; b < scales.size(); ++b) {
    const std::span<const float> block = values.subspan(b * kBlock, kBlock);
    scales[b] = block_scale(block, global_scale);
    const float unit = decode_e4m3(scales[b]) * global_scale;
    for (size_t i = 0; i < kBlock; i += 2) {
      const uint8_t low = encode_e2m1(block[i] / unit);
      const uint8_t high = encode_e2m1(block[i + 1] / unit);
      codes[(b * kBlock + i) / 2] = static_cast<uint8_t>(low | (high << 4));
    }
  }
}

void decode_nvfp4_row(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                      float global_scale, std::span<float> values) {
  CHECK(values.size() % kBlock == 0 && codes.size() * 2 == values.size() &&
        scales.size() * kBlock == values.size());
  for (size_t k = 0; k < values.size(); ++k) {
    const int code = (codes[k / 2] >> (k % 2 == 0 ? 0 : 4)) & 15;
    values[k] =
        kE2m1Values[static_cast<size_t>(code)] * kE4m3Values[scales[k / kBlock]] * global_scale;
  }
}

}  // namespace gallop::codec
