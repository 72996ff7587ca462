#include <algorithm>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/simd_linear.h"

namespace gallop::ops {
namespace {

// Multiply-adds that are worth waking a thread for (about 10 us of one core).
constexpr int64_t kMinWork = 1 << 18;

int64_t units_of(const LinearPart& part) {
  return (part.weight.extent(0) + simd::kPanelColumns - 1) / simd::kPanelColumns;
}

// Panels [begin, end) of one part, whose outputs are `out`.
void run_panels(const TensorView& x, const TensorView& weight, const TensorView& out, int64_t begin,
                int64_t end) {
  const int64_t first = begin * simd::kPanelColumns;
  const int64_t last = std::min(end * simd::kPanelColumns, weight.extent(0));
  simd::linear_block({.x = x.row<const float>(0),
                      .x_stride = x.stride(0),
                      .rows = x.extent(0),
                      .weight = weight.rows(first, last).data(),
                      .weight_stride = weight.stride(0),
                      .dtype = weight.dtype(),
                      .k = weight.extent(1),
                      .columns = last - first,
                      .out = out.row<float>(0) + first,
                      .out_stride = out.stride(0)});
}

}  // namespace

// The panels of all parts are dealt out together: one loop of threads for the whole op.
void run_cpu(const Linear& op, ThreadPool& pool) {
  int64_t units = 0;
  for (const LinearPart& part : op.weight->parts) units += units_of(part);
  const int64_t rows = op.x.extent(0);
  if (rows == 0) return;
  const int64_t unit_work = rows * op.weight->k() * simd::kPanelColumns;
  const int64_t grain = std::max<int64_t>(1, kMinWork / unit_work);
  pool.parallel_for(units, grain, [&](int64_t begin, int64_t end) {
    int64_t unit = 0;
    int64_t column = 0;
    for (const LinearPart& part : op.weight->parts) {
      const int64_t n = part.weight.extent(0);
      const int64_t first = std::max(begin, unit);
      const int64_t last = std::min(end, unit + units_of(part));
      if (first < last) {
        run_panels(op.x, part.weight, op.out.columns(column, column + n), first - unit,
                   last - unit);
      }
      unit += units_of(part);
      column += n;
    }
  });
}

}  // namespace gallop::ops
