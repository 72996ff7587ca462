#include "ops/cpu/instruction_set.h"

// As simd.cc: what was compiled there counts.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#include <fmt/format.h>
#include <hwy/targets.h>

namespace gallop::ops {

std::vector<std::string> runnable_instruction_sets() {
  std::vector<std::string> names;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    names.emplace_back(hwy::TargetName(target));
  }
  return names;
}

Result<void> limit_instruction_set(std::string_view name) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (name != hwy::TargetName(target)) continue;
    hwy::DisableTargets(target - 1);  // better targets have lower bits
    return {};
  }
  return Error{
      fmt::format("the instruction set must be one that this machine has and the program "
                  "was compiled for ({}), it is '{}'",
                  fmt::join(runnable_instruction_sets(), ", "), name)};
}

}  // namespace gallop::ops
