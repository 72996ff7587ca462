// The finaliser of SplitMix64, for noise and seeds that are counted, not drawn.
#pragma once

#include <cstdint>

namespace gallop {

// 2^64 / golden ratio: SplitMix64's step from one state to the next.
inline constexpr uint64_t kSplitMixStep = 0x9e3779b97f4a7c15u;

// A bijection of 64-bit numbers in which every input bit reaches every output bit. Source: Steele,
// Lea, Flood, Fast splittable pseudorandom number generators, 2014, with Stafford's 13th constants.
inline uint64_t split_mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace gallop
