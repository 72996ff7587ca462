#include "ops/rows/rows.h"

namespace gallop::ops {

void validate(const GatherRows& op) {
  CHECK_EQ(op.out.extent(0), op.rows.extent(0));
  CHECK_EQ(op.out.extent(1), op.x.extent(1));
}

void validate(const CopyRows& op) { CHECK_EQ(op.out.shape(), op.x.shape()); }

}  // namespace gallop::ops
