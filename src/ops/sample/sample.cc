#include "ops/sample/sample.h"

namespace gallop::ops {
namespace {

// The finaliser of SplitMix64: a bijection of 64-bit numbers in which every input bit reaches every
// output bit.
uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ull;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

}  // namespace

void validate(const Sample& op) {
  CHECK_EQ(op.tokens.extent(0), op.logits.extent(0));
  CHECK_EQ(op.options.extent(0), op.logits.extent(0));
  CHECK_EQ(op.options.extent(1), static_cast<int64_t>(sizeof(SampleOptions)));
  CHECK(op.vocab_limit > 0 && op.vocab_limit <= op.logits.extent(1));
}

double counter_uniform(uint64_t seed, int32_t position, int32_t token) {
  const uint64_t place =
      (static_cast<uint64_t>(static_cast<uint32_t>(position)) << 32) | static_cast<uint32_t>(token);
  // 0x9e37...: 2^64 / golden ratio, SplitMix64's increment; keeps seed 0 away from the fixed point.
  // 0x91e1...: 2^64 / plastic number^2; another constant, or equal seed and place would cancel and
  // exchanged ones give the same number.
  const uint64_t bits = mix(mix(seed + 0x9e3779b97f4a7c15ull) ^ mix(place + 0x91e10da5c79e7b1dull));
  return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;  // exact, so never 0 or 1
}

}  // namespace gallop::ops
