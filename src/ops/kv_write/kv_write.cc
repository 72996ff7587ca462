#include "ops/kv_write/kv_write.h"

namespace gallop::ops {

void validate(const KvWrite& op) {
  CHECK_EQ(op.k.shape(), op.v.shape());
  CHECK_EQ(op.k_pages.shape(), op.v_pages.shape());
  CHECK_EQ(op.k.extent(0), op.slots.extent(0));
  CHECK_EQ(op.k.extent(1), op.k_pages.extent(2));
  CHECK_EQ(op.k.extent(2), op.k_pages.extent(3));
}

}  // namespace gallop::ops
