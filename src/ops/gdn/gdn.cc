#include "ops/gdn/gdn.h"

namespace gallop::ops {

void validate(const GdnUpdate& op) {
  const int64_t slots = op.state.extent(0);
  const int64_t ring = op.ring_k.extent(1);
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
  CHECK_EQ(op.ring_k.shape(), (Shape{slots, ring, k_heads, k_dim}));
  CHECK_EQ(op.ring_u.shape(), (Shape{slots, ring, v_heads, v_dim}));
  CHECK_EQ(op.ring_g.shape(), (Shape{slots, ring, v_heads}));
  for (const TensorView& kept : {op.state, op.ring_k, op.ring_u, op.ring_g}) {
    CHECK(kept.dtype() == DType::kF32 && kept.contiguous());
  }
}

}  // namespace gallop::ops
