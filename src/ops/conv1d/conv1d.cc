#include "ops/conv1d/conv1d.h"

namespace gallop::ops {

void validate(const CausalConv1d& op) {
  CHECK_EQ(op.out.shape(), op.x.shape());
  CHECK_EQ(op.x.extent(0), op.batch.rows());
  CHECK_EQ(op.weight.extent(0), op.x.extent(1));
  CHECK_EQ(op.ring.extent(2), op.x.extent(1));
  CHECK_GE(op.ring.extent(1), op.weight.extent(1));  // at least one provisional row
  CHECK(op.ring.contiguous() && op.weight.contiguous());
}

}  // namespace gallop::ops
