#include "ops/rope/rope.h"

namespace gallop::ops {

void validate(const NormRope& op) {
  CHECK_EQ(op.out.shape(), op.x.shape());
  CHECK_EQ(op.weight.extent(0), op.x.extent(2));
  CHECK_EQ(op.positions.extent(0), op.x.extent(0));
  CHECK(op.rotary_dim > 0 && op.rotary_dim % 2 == 0 && op.rotary_dim <= op.x.extent(2));
  CHECK_GT(op.eps, 0);
  CHECK_GT(op.theta, 0);
}

}  // namespace gallop::ops
