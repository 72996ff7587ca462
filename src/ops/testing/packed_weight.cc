#include "ops/testing/packed_weight.h"

#include <cmath>

#include <gtest/gtest.h>

namespace gallop::ops::testing {
namespace {

constexpr int64_t kTile = 128;

int64_t tiles(int64_t extent) { return (extent + kTile - 1) / kTile; }

// E4M3 by its definition; the NaN bytes count as 0.
double e4m3(int byte) {
  const int exponent = (byte >> 3) & 15;
  const int mantissa = byte & 7;
  if ((byte & 0x7f) == 0x7f) return 0;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return byte & 0x80 ? -magnitude : magnitude;
}

double e2m1(int code) {
  const int exponent = (code >> 1) & 3;
  const double mantissa = code & 1;
  const double magnitude =
      exponent == 0 ? mantissa / 2 : std::ldexp(1 + mantissa / 2, exponent - 1);
  return code & 8 ? -magnitude : magnitude;
}

bool is_nvfp4(PackedKind kind) {
  return kind == PackedKind::kNvfp4 || kind == PackedKind::kNvfp4Inverse;
}

TensorView bytes_view(const std::vector<uint8_t>& bytes, DType dtype, const Shape& shape) {
  return TensorView(const_cast<uint8_t*>(bytes.data()), dtype, shape);
}

}  // namespace

const char* name_of(PackedKind kind) {
  switch (kind) {
    case PackedKind::kNvfp4:
      return "NVFP4";
    case PackedKind::kNvfp4Inverse:
      return "NVFP4 with an inverse scale";
    case PackedKind::kFp8Tensor:
      return "FP8 with one scale";
    case PackedKind::kFp8Outputs:
      return "FP8 with a scale for each output";
    case PackedKind::kFp8Tiles:
      return "FP8 with tiles";
  }
  return "?";
}

PackedWeight::PackedWeight(PackedKind kind, int64_t n, int64_t k, Random& random)
    : kind_(kind), n_(n), k_(k), unscaled_(DType::kF32, Shape{n, k}) {
  const auto byte = [&] { return static_cast<uint8_t>(random.below(256)); };
  bytes_.resize(static_cast<size_t>(is_nvfp4(kind) ? n * k / 2 : n * k));
  for (uint8_t& value : bytes_) value = byte();
  if (is_nvfp4(kind)) {
    fill_nvfp4(random);
  } else {
    fill_fp8(random);
  }
}

void PackedWeight::fill_nvfp4(Random& random) {
  scales_ = {static_cast<float>(random.uniform(0.001, 3))};
  for (int64_t i = 0; i < n_ * k_ / 16; ++i) {
    block_scales_.push_back(static_cast<uint8_t>(random.below(256)));
  }
  for (int64_t i = 0; i < n_ * k_; ++i) {
    const int code = (bytes_[static_cast<size_t>(i / 2)] >> (i % 2 == 0 ? 0 : 4)) & 15;
    unscaled_.set(i, e2m1(code) * e4m3(block_scales_[static_cast<size_t>(i / 16)]));
  }
}

void PackedWeight::fill_fp8(Random& random) {
  const int64_t count = kind_ == PackedKind::kFp8Tensor    ? 1
                        : kind_ == PackedKind::kFp8Outputs ? n_
                                                           : tiles(n_) * tiles(k_);
  for (int64_t i = 0; i < count; ++i) {
    scales_.push_back(static_cast<float>(random.uniform(0.001, 3)));
  }
  for (int64_t i = 0; i < n_ * k_; ++i) {
    const double value = e4m3(bytes_[static_cast<size_t>(i)]);
    const int64_t tile = i / k_ / kTile * tiles(k_) + i % k_ / kTile;
    const bool tiled = kind_ == PackedKind::kFp8Tiles;
    unscaled_.set(i, value * (tiled ? static_cast<double>(scales_[static_cast<size_t>(tile)]) : 1));
  }
}

LinearPart PackedWeight::part() const {
  if (is_nvfp4(kind_)) {
    const bool inverse = kind_ == PackedKind::kNvfp4Inverse;
    return {.weight =
                Nvfp4Weight{.codes = bytes_view(bytes_, DType::kU8, Shape{n_, k_ / 2}),
                            .scales = bytes_view(block_scales_, DType::kF8E4M3, Shape{n_, k_ / 16}),
                            .global_scale = inverse ? 1 : scales_[0],
                            .global_divisor = inverse ? scales_[0] : 1}};
  }
  const Shape shape = kind_ == PackedKind::kFp8Tensor    ? Shape{1}
                      : kind_ == PackedKind::kFp8Outputs ? Shape{n_}
                                                         : Shape{tiles(n_), tiles(k_)};
  return {.weight = Fp8Weight{
              .weight = bytes_view(bytes_, DType::kF8E4M3, Shape{n_, k_}),
              .scales = TensorView(const_cast<float*>(scales_.data()), DType::kF32, shape)}};
}

LinearPart PackedWeight::unscaled() const {
  return {.weight = FloatWeight{.weight = unscaled_.view()}};
}

void PackedWeight::scale_outputs(TestTensor& out) const {
  if (kind_ == PackedKind::kFp8Tiles) return;
  for (int64_t i = 0; i < out.elements(); ++i) {
    const float scale = scales_[scales_.size() == 1 ? 0 : static_cast<size_t>(i % n_)];
    const auto sum = static_cast<float>(out.at(i));
    out.set(i, static_cast<double>(kind_ == PackedKind::kNvfp4Inverse ? sum / scale : sum * scale));
  }
}

TestTensor linear(const TensorView& x, const LinearWeight& weight, int threads) {
  TestTensor out(DType::kF32, Shape{x.extent(0), weight.n()});
  run(Linear{.out = out.view(), .x = x, .weight = &weight}, threads);
  EXPECT_TRUE(out.guards_intact());
  return out;
}

}  // namespace gallop::ops::testing
