// Random packed weights of every kind beside their plain decoding. The bytes cover every code with
// scales of all sizes, subnormal ones, zeros and NaN among them.
#pragma once

#include <array>
#include <vector>

#include "ops/linear/linear_weight.h"
#include "ops/testing/op_case.h"

namespace gallop::ops::testing {

enum class PackedKind { kNvfp4, kNvfp4Inverse, kFp8Tensor, kFp8Outputs, kFp8Tiles };

inline constexpr std::array<PackedKind, 5> kPackedKinds = {
    PackedKind::kNvfp4, PackedKind::kNvfp4Inverse, PackedKind::kFp8Tensor, PackedKind::kFp8Outputs,
    PackedKind::kFp8Tiles};

const char* name_of(PackedKind kind);

class PackedWeight {
 public:
  // k is a multiple of 16 for NVFP4.
  PackedWeight(PackedKind kind, int64_t n, int64_t k, Random& random);

  // Views into this object; the packed weight, and floats [n, k] without the scales that Linear
  // applies to the sums.
  LinearPart part() const;
  LinearPart unscaled() const;
  // Applies those scales to the outputs [rows, n] of unscaled().
  void scale_outputs(TestTensor& out) const;

 private:
  void fill_nvfp4(Random& random);
  void fill_fp8(Random& random);

  PackedKind kind_;
  int64_t n_;
  int64_t k_;
  std::vector<uint8_t> bytes_;
  std::vector<uint8_t> block_scales_;
  std::vector<float> scales_;  // the global one, or those of FP8
  TestTensor unscaled_;        // [n, k] f32
};

// One op on the CPU backend, whose output is [rows, n] f32.
TestTensor linear(const TensorView& x, const LinearWeight& weight, int threads = 1);

}  // namespace gallop::ops::testing
