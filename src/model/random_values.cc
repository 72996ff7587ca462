#include "model/random_values.h"

#include "base/split_mix.h"

namespace gallop::model {

uint64_t random_key(uint64_t seed, std::string_view name) {
  // FNV-1a. Source: Fowler, Noll, Vo, The FNV non-cryptographic hash algorithm (RFC 9923).
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return split_mix(hash ^ split_mix(seed + kSplitMixStep));
}

// Normal: the sum of four independent 16-bit numbers, centred (Irwin-Hall): exact in integers, so
// that the bits are the same everywhere; nothing lies beyond 2 sqrt(3) = 3.46 deviations. The sum's
// variance is 4 (65536^2 - 1) / 12.
void random_values(uint64_t key, int64_t begin, const Distribution& distribution,
                   std::span<float> values) {
  constexpr float kInverseDeviation = 1.0f / 37837.227f;  // sqrt(12 / (4 (65536^2 - 1)))
  constexpr int32_t kCentre = 2 * 65535;
  const float width = distribution.b - distribution.a;
  for (size_t i = 0; i < values.size(); ++i) {
    const uint64_t bits = split_mix(key + (static_cast<uint64_t>(begin) + i) * kSplitMixStep);
    if (distribution.kind == Distribution::Kind::kNormal) {
      const auto sum = static_cast<int32_t>((bits & 0xffffu) + ((bits >> 16) & 0xffffu) +
                                            ((bits >> 32) & 0xffffu) + (bits >> 48));
      const float deviations = static_cast<float>(sum - kCentre) * kInverseDeviation;
      values[i] = distribution.a + distribution.b * deviations;
    } else {
      values[i] = distribution.a + width * (static_cast<float>(bits >> 40) * 0x1p-24f);
    }
  }
}

}  // namespace gallop::model
