#include "ops/linear/linear.h"

namespace gallop::ops {
namespace {

void validate(const FloatWeight& weight) { CHECK(weight.weight.contiguous()); }

void validate(const Nvfp4Weight& weight) {
  CHECK(weight.codes.contiguous() && weight.scales.contiguous());
  CHECK_EQ(weight.scales.shape(), (Shape{weight.codes.extent(0), weight.codes.extent(1) / 8}));
  CHECK_EQ(weight.codes.extent(1) % 8, 0);
  CHECK(weight.codes.dtype() == DType::kU8 && weight.scales.dtype() == DType::kF8E4M3);
}

void validate(const Fp8Weight& weight) {
  const auto tiles = [](int64_t extent) {
    return (extent + Fp8Weight::kTile - 1) / Fp8Weight::kTile;
  };
  const int64_t n = weight.weight.extent(0);
  CHECK(weight.weight.contiguous() && weight.scales.contiguous());
  CHECK(weight.weight.dtype() == DType::kF8E4M3 && weight.scales.dtype() == DType::kF32);
  if (weight.tiled()) {
    CHECK_EQ(weight.scales.shape(), (Shape{tiles(n), tiles(weight.weight.extent(1))}));
  } else {
    CHECK(weight.scales.shape() == Shape{1} || weight.scales.shape() == Shape{n});
  }
}

}  // namespace

void validate(const Linear& op) {
  CHECK(op.weight != nullptr && !op.weight->parts.empty());
  CHECK_EQ(op.x.extent(0), op.out.extent(0));
  CHECK_EQ(op.x.extent(1), op.weight->k());
  CHECK_EQ(op.out.extent(1), op.weight->n());
  CHECK(op.out.dtype() == op.x.dtype() || op.out.dtype() == DType::kF32);
  for (const LinearPart& part : op.weight->parts) {
    CHECK_EQ(part.k(), op.weight->k());
    std::visit([](const auto& weight) { validate(weight); }, part.weight);
    CHECK(part.input_scale.empty() ||
          (part.input_scale.shape() == Shape{part.k()} && part.input_scale.dtype() == DType::kF32));
  }
}

}  // namespace gallop::ops
