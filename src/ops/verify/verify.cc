#include "ops/verify/verify.h"

namespace gallop::ops {

void validate(const AcceptDrafts& op) {
  CHECK_EQ(op.accepted.extent(0), op.block_rows.extent(0));
  CHECK_EQ(op.ids.extent(0), op.chosen.extent(0));
}

}  // namespace gallop::ops
