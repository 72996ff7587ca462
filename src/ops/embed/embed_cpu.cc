#include "ops/cpu/cpu_ops.h"
#include "tensor/widen.h"

namespace gallop::ops {

void run_cpu(const EmbedRows& op, ThreadPool& pool) {
  const int32_t* ids = op.ids.as<const int32_t>();
  pool.parallel_for(op.out.extent(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      CHECK(ids[row] >= 0 && ids[row] < op.table.extent(0));
      const TensorView stored = op.table.rows(ids[row], ids[row] + 1);
      widen(stored.data(), stored.dtype(), stored.extent(1), op.out.row<float>(row));
    }
  });
}

}  // namespace gallop::ops
