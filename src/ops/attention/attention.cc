#include "ops/attention/attention.h"

namespace gallop::ops {

void validate(const PagedAttention& op) {
  CHECK_EQ(op.out.shape(), op.q.shape());
  CHECK_EQ(op.k_pages.shape(), op.v_pages.shape());
  CHECK_EQ(op.q.extent(0), op.batch.rows());
  CHECK_EQ(op.q.extent(2), op.k_pages.extent(3));
  CHECK_EQ(op.q.extent(1) % op.k_pages.extent(2), 0);
  CHECK(op.k_pages.contiguous() && op.v_pages.contiguous());
  CHECK_EQ(op.batch.page_table.extent(0), op.batch.num_sequences());
  CHECK_GT(op.scale, 0);
  CHECK_GE(op.window, 0);
}

}  // namespace gallop::ops
