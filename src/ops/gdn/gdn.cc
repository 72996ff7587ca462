#include "ops/gdn/gdn.h"

namespace gallop::ops {

void validate(const GdnUpdate& op) {
  const int64_t v_heads = op.state.extent(1);
  const int64_t k_dim = op.state.extent(2);
  const int64_t v_dim = op.state.extent(3);
  const int64_t k_heads = op.ring_k.extent(2);
  CHECK_EQ(op.out.shape(), (Shape{op.batch.rows(), v_heads, v_dim}));
  CHECK_EQ(op.qkv.shape(), (Shape{op.batch.rows(), 2 * k_heads * k_dim + v_heads * v_dim}));
  CHECK_EQ(op.a.shape(), (Shape{op.batch.rows(), v_heads}));
  CHECK_EQ(op.b.shape(), op.a.shape());
  CHECK_EQ(v_heads % k_heads, 0);
  CHECK_EQ(op.a_log.extent(0), v_heads);
  CHECK_EQ(op.dt_bias.extent(0), v_heads);
  CHECK_EQ(op.ring_k.extent(3), k_dim);
  CHECK_EQ(op.ring_u.extent(1), op.ring_k.extent(1));
  CHECK_EQ(op.ring_g.extent(1), op.ring_k.extent(1));
  CHECK(op.state.contiguous() && op.ring_k.contiguous() && op.ring_u.contiguous());
}

}  // namespace gallop::ops
