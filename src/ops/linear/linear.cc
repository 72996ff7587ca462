#include "ops/linear/linear.h"

namespace gallop::ops {

void validate(const Linear& op) {
  CHECK(op.weight != nullptr && !op.weight->parts.empty());
  CHECK_EQ(op.x.extent(0), op.out.extent(0));
  CHECK_EQ(op.x.extent(1), op.weight->k());
  CHECK_EQ(op.out.extent(1), op.weight->n());
  CHECK(op.out.dtype() == op.x.dtype() || op.out.dtype() == DType::kF32);
  for (const LinearPart& part : op.weight->parts) {
    CHECK_EQ(part.weight.extent(1), op.weight->k());
    CHECK(part.weight.contiguous());
  }
}

}  // namespace gallop::ops
