#include "ops/activation/activation.h"

namespace gallop::ops {

void validate(const SiluMul& op) {
  CHECK_EQ(op.out.extent(0), op.gate_up.extent(0));
  CHECK_EQ(2 * op.out.extent(1), op.gate_up.extent(1));
}

void validate(const SigmoidMul& op) { CHECK_EQ(op.x.shape(), op.gate.shape()); }

}  // namespace gallop::ops
