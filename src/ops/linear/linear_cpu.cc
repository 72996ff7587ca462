#include <algorithm>
#include <optional>
#include <vector>

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
void run_panels(const simd::LinearInputs& inputs, const LinearPart& part, const TensorView& out,
                int64_t begin, int64_t end) {
  const int64_t first = begin * simd::kPanelColumns;
  const int64_t last = std::min(end * simd::kPanelColumns, part.n());
  const TensorView columns = out.columns(first, last);
  simd::linear_block({.inputs = &inputs,
                      .part = &part,
                      .column = first,
                      .columns = last - first,
                      .out = columns.row<float>(0),
                      .out_stride = columns.stride(0)});
  std::visit([&](const auto& weight) { scale_outputs(weight, columns, first); }, part.weight);
}

simd::LinearInputs inputs_of(const TensorView& x, const TensorView& scale) {
  simd::LinearInputs inputs(x.extent(0), x.extent(1));
  for (int64_t row = 0; row < x.extent(0); ++row) {
    inputs.set(row, x.row<const float>(row), scale.empty() ? nullptr : scale.as<const float>());
  }
  return inputs;
}

// What the parts multiply: one arrangement of the rows for all that have no scale of their own.
class PartInputs {
 public:
  PartInputs(const TensorView& x, const std::vector<LinearPart>& parts) {
    for (const LinearPart& part : parts) {
      if (!part.input_scale.empty()) {
        inputs_.push_back(inputs_of(x, part.input_scale));
        of_part_.push_back(inputs_.size() - 1);
      } else {
        if (!plain_) {
          plain_ = inputs_.size();
          inputs_.push_back(inputs_of(x, {}));
        }
        of_part_.push_back(*plain_);
      }
    }
  }
  const simd::LinearInputs& of(size_t part) const { return inputs_[of_part_[part]]; }

 private:
  std::vector<simd::LinearInputs> inputs_;
  std::vector<size_t> of_part_;
  std::optional<size_t> plain_;
};

// The panels of all parts are dealt out together: one loop of threads for a block of rows.
void run_rows(const TensorView& x, const LinearWeight& weight, const TensorView& out,
              ThreadPool& pool) {
  int64_t units = 0;
  for (const LinearPart& part : weight.parts) units += units_of(part);
  const PartInputs inputs(x, weight.parts);
  const int64_t unit_work = x.extent(0) * weight.k() * simd::kPanelColumns;
  const int64_t grain = std::max<int64_t>(1, kMinWork / unit_work);
  pool.parallel_for(units, grain, [&](int64_t begin, int64_t end) {
    int64_t unit = 0;
    int64_t column = 0;
    for (size_t p = 0; p < weight.parts.size(); ++p) {
      const LinearPart& part = weight.parts[p];
      const int64_t first = std::max(begin, unit);
      const int64_t last = std::min(end, unit + units_of(part));
      if (first < last) {
        run_panels(inputs.of(p), part, out.columns(column, column + part.n()), first - unit,
                   last - unit);
      }
      unit += units_of(part);
      column += part.n();
    }
  });
}

}  // namespace

void run_cpu(const Linear& op, ThreadPool& pool) {
  const int64_t rows = op.x.extent(0);
  for (int64_t row = 0; row < rows; row += simd::kRowBlock) {
    const int64_t end = std::min(rows, row + simd::kRowBlock);
    run_rows(op.x.rows(row, end), *op.weight, op.out.rows(row, end), pool);
  }
}

}  // namespace gallop::ops
