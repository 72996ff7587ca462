#include <algorithm>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/simd.h"

namespace gallop::ops {
namespace {

// Rows whose inputs stay in the second-level cache while all columns of a range pass over them.
constexpr int64_t kRowBlock = 128;
// Multiply-adds that are worth waking a thread for (about 10 us of one core).
constexpr int64_t kMinWork = 1 << 18;
// Columns are dealt out in multiples of this, so that register tiles stay whole.
constexpr int64_t kColumnUnit = 16;

void run_part(const TensorView& x, const TensorView& weight, const TensorView& out,
              ThreadPool& pool) {
  const int64_t columns = weight.extent(0);
  const int64_t k = weight.extent(1);
  const int64_t rows = x.extent(0);
  const int64_t units = (columns + kColumnUnit - 1) / kColumnUnit;
  const int64_t grain =
      std::max<int64_t>(1, kMinWork / std::max<int64_t>(1, rows * k * kColumnUnit));
  pool.parallel_for(units, grain, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kColumnUnit;
    const int64_t last = std::min(end * kColumnUnit, columns);
    for (int64_t row = 0; row < rows; row += kRowBlock) {
      simd::linear_block({.x = x.row<const float>(row),
                          .x_stride = x.stride(0),
                          .rows = std::min(kRowBlock, rows - row),
                          .weight = weight.rows(first, last).data(),
                          .dtype = weight.dtype(),
                          .k = k,
                          .columns = last - first,
                          .out = out.row<float>(row) + first,
                          .out_stride = out.stride(0)});
    }
  });
}

}  // namespace

void run_cpu(const Linear& op, ThreadPool& pool) {
  int64_t column = 0;
  for (const LinearPart& part : op.weight->parts) {
    const int64_t n = part.weight.extent(0);
    run_part(op.x, part.weight, op.out.columns(column, column + n), pool);
    column += n;
  }
}

}  // namespace gallop::ops
