#include <cstring>

#include "ops/cpu/cpu_ops.h"

namespace gallop::ops {
namespace {

void write_row(const TensorView& rows, int64_t row, const TensorView& pages, int64_t slot) {
  const int64_t heads = rows.extent(1);
  const int64_t dim = rows.extent(2);
  float* target = pages.as<float>() + slot * heads * dim;
  for (int64_t head = 0; head < heads; ++head) {
    std::memcpy(target + head * dim, rows.row<const float>(row) + head * rows.stride(1),
                static_cast<size_t>(dim) * sizeof(float));
  }
}

}  // namespace

void run_cpu(const KvWrite& op, ThreadPool&) {
  const int32_t* slots = op.slots.as<const int32_t>();
  const int64_t capacity = op.k_pages.extent(0) * op.k_pages.extent(1);
  for (int64_t row = 0; row < op.k.extent(0); ++row) {
    if (slots[row] < 0) continue;
    CHECK_LT(slots[row], capacity);
    write_row(op.k, row, op.k_pages, slots[row]);
    write_row(op.v, row, op.v_pages, slots[row]);
  }
}

}  // namespace gallop::ops
