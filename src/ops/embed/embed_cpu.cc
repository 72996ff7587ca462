#include "base/float_types.h"
#include "ops/cpu/cpu_ops.h"

namespace gallop::ops {
namespace {

float widen(const TensorView& table, int64_t row, int64_t i) {
  switch (table.dtype()) {
    case DType::kBF16:
      return bf16_to_f32(table.row<const uint16_t>(row)[i]);
    case DType::kF16:
      return f16_to_f32(table.row<const uint16_t>(row)[i]);
    default:
      return table.row<const float>(row)[i];
  }
}

}  // namespace

void run_cpu(const EmbedRows& op, ThreadPool& pool) {
  const int32_t* ids = op.ids.as<const int32_t>();
  pool.parallel_for(op.out.extent(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      CHECK(ids[row] >= 0 && ids[row] < op.table.extent(0));
      float* out = op.out.row<float>(row);
      for (int64_t i = 0; i < op.out.extent(1); ++i) out[i] = widen(op.table, ids[row], i);
    }
  });
}

}  // namespace gallop::ops
