#include <algorithm>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/simd_linear.h"

namespace gallop::ops {
namespace {

// Multiply-adds that are worth waking a thread for (about 10 us of one core).
constexpr int64_t kMinWork = 1 << 18;

int64_t units_of(const LinearPart& part) {
  return (part.n() + simd::kPanelColumns - 1) / simd::kPanelColumns;
}

// The scales that are left out of the sums, for outputs [first, first + out.extent(1)).
void scale_outputs(const FloatWeight&, const TensorView&, int64_t) {}

void scale_outputs(const Nvfp4Weight& weight, const TensorView& out, int64_t) {
  for (int64_t row = 0; row < out.extent(0); ++row) {
    auto* sums = out.row<float>(row);
    for (int64_t j = 0; j < out.extent(1); ++j) {
      sums[j] = sums[j] * weight.global_scale / weight.global_divisor;
    }
  }
}

void scale_outputs(const Fp8Weight& weight, const TensorView& out, int64_t first) {
  if (weight.tiled()) return;
  const bool one = weight.scales.extent(0) == 1;
  const auto* scales = weight.scales.as<const float>() + (one ? 0 : first);
  for (int64_t row = 0; row < out.extent(0); ++row) {
    auto* sums = out.row<float>(row);
    for (int64_t j = 0; j < out.extent(1); ++j) sums[j] *= scales[one ? 0 : j];
  }
}

// Panels [begin, end) of one part, whose outputs are `out`.
void run_panels(const TensorView& x, const LinearPart& part, const TensorView& out, int64_t begin,
                int64_t end) {
  const int64_t first = begin * simd::kPanelColumns;
  const int64_t last = std::min(end * simd::kPanelColumns, part.n());
  const TensorView columns = out.columns(first, last);
  simd::linear_block({.x = x.row<const float>(0),
                      .x_stride = x.stride(0),
                      .rows = x.extent(0),
                      .part = &part,
                      .column = first,
                      .columns = last - first,
                      .out = columns.row<float>(0),
                      .out_stride = columns.stride(0)});
  std::visit([&](const auto& weight) { scale_outputs(weight, columns, first); }, part.weight);
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
      const int64_t n = part.n();
      const int64_t first = std::max(begin, unit);
      const int64_t last = std::min(end, unit + units_of(part));
      if (first < last) {
        run_panels(op.x, part, op.out.columns(column, column + n), first - unit, last - unit);
      }
      unit += units_of(part);
      column += n;
    }
  });
}

}  // namespace gallop::ops
