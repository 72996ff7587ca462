#include "ops/verify/verify.h"

namespace gallop::ops {

void validate(const AcceptDrafts& op) {
  CHECK_EQ(op.block_rows.shape(), (Shape{op.accepted.extent(0), 2}));
  CHECK_EQ(op.ids.extent(0), op.chosen.extent(0));
}

}  // namespace gallop::ops
