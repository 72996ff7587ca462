#include "ops/linear/linear_weight.h"

namespace gallop::ops {
namespace {

// The view whose rows are the outputs.
const TensorView& rows_of(const FloatWeight& weight) { return weight.weight; }
const TensorView& rows_of(const Nvfp4Weight& weight) { return weight.codes; }
const TensorView& rows_of(const Fp8Weight& weight) { return weight.weight; }

}  // namespace

int64_t LinearPart::n() const {
  return std::visit([](const auto& kind) { return rows_of(kind).extent(0); }, weight);
}

int64_t LinearPart::k() const {
  const int64_t bytes =
      std::visit([](const auto& kind) { return rows_of(kind).extent(1); }, weight);
  return std::holds_alternative<Nvfp4Weight>(weight) ? 2 * bytes : bytes;
}

}  // namespace gallop::ops
