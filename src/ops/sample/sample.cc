#include "ops/sample/sample.h"

#include "base/split_mix.h"

namespace gallop::ops {

void validate(const Sample& op) {
  CHECK_EQ(op.tokens.extent(0), op.logits.extent(0));
  CHECK_EQ(op.options.extent(0), op.logits.extent(0));
  CHECK_EQ(op.options.extent(1), static_cast<int64_t>(sizeof(SampleOptions)));
  CHECK(op.vocab_limit > 0 && op.vocab_limit <= op.logits.extent(1));
}

double counter_uniform(uint64_t seed, int32_t position, int32_t token) {
  const uint64_t place =
      (static_cast<uint64_t>(static_cast<uint32_t>(position)) << 32) | static_cast<uint32_t>(token);
  // The step keeps seed 0 away from the fixed point.
  // 0x91e1...: 2^64 / plastic number^2; another constant, or equal seed and place would cancel and
  // exchanged ones give the same number.
  const uint64_t bits =
      split_mix(split_mix(seed + kSplitMixStep) ^ split_mix(place + 0x91e10da5c79e7b1dull));
  return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;  // exact, so never 0 or 1
}

}  // namespace gallop::ops
