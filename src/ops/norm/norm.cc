#include "ops/norm/norm.h"

namespace gallop::ops {

void validate(const RmsNorm& op) {
  CHECK_EQ(op.out.shape(), op.x.shape());
  CHECK_EQ(op.weight.extent(0), op.x.extent(1));
  CHECK_GT(op.eps, 0);
}

void validate(const AddRmsNorm& op) {
  CHECK_EQ(op.residual.shape(), op.delta.shape());
  CHECK_EQ(op.residual.shape(), op.out.shape());
  CHECK_EQ(op.weight.extent(0), op.out.extent(1));
  CHECK_GT(op.eps, 0);
}

void validate(const GatedRmsNorm& op) {
  CHECK_EQ(op.out.shape(), op.x.shape());
  CHECK_EQ(op.out.shape(), op.gate.shape());
  CHECK_EQ(op.weight.extent(0), op.x.extent(2));
  CHECK_GT(op.eps, 0);
}

}  // namespace gallop::ops
