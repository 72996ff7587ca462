// Random numbers that are counted, not drawn: element i of a tensor depends on the seed, the
// tensor's name and i alone, so any piece can be made by any thread, twice if need be.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace gallop::model {

struct Distribution {
  enum class Kind : uint8_t {
    kNormal,   // around `a` with standard deviation `b`
    kUniform,  // in [a, b)
  };
  Kind kind = Kind::kNormal;
  float a = 0;
  float b = 1;
};

// The stream of one tensor.
uint64_t random_key(uint64_t seed, std::string_view name);

// Elements [begin, begin + values.size()) of the stream `key`.
void random_values(uint64_t key, int64_t begin, const Distribution& distribution,
                   std::span<float> values);

}  // namespace gallop::model
