#include <cstring>

#include "ops/cpu/cpu_ops.h"

namespace gallop::ops {
namespace {

void copy_row(const TensorView& out, int64_t to, const TensorView& x, int64_t from) {
  std::memcpy(out.row<float>(to), x.row<const float>(from),
              static_cast<size_t>(x.extent(1)) * sizeof(float));
}

}  // namespace

void run_cpu(const GatherRows& op, ThreadPool&) {
  const int32_t* rows = op.rows.as<const int32_t>();
  for (int64_t i = 0; i < op.out.extent(0); ++i) {
    CHECK(rows[i] >= 0 && rows[i] < op.x.extent(0));
    copy_row(op.out, i, op.x, rows[i]);
  }
}

void run_cpu(const CopyRows& op, ThreadPool&) {
  for (int64_t row = 0; row < op.x.extent(0); ++row) copy_row(op.out, row, op.x, row);
}

}  // namespace gallop::ops
