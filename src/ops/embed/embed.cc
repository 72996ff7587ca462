#include "ops/embed/embed.h"

namespace gallop::ops {

void validate(const EmbedRows& op) {
  CHECK_EQ(op.out.extent(0), op.ids.extent(0));
  CHECK_EQ(op.out.extent(1), op.table.extent(1));
  CHECK(op.ids.dtype() == DType::kI32);
}

}  // namespace gallop::ops
