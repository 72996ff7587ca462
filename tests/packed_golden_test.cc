// Packed numbers against what numpy makes of them (tests/formats/golden.py), bit for bit: every
// NVFP4 code under every scale byte and every FP8 byte, through the codec and through Linear over
// an identity, and rows as the encoder writes them.
#include <algorithm>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "checkpoint/safetensors.h"
#include "checkpoint/testing/stored_view.h"
#include "codec/e4m3.h"
#include "codec/nvfp4.h"
#include "ops/ops.h"
#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"

namespace gallop::ops {
namespace {

using testing::run;
using testing::same_bits;
using testing::TestTensor;

constexpr int64_t kBlock = codec::kNvfp4Block;

class PackedGolden : public ::testing::Test {
 protected:
  PackedGolden()
      : file_(checkpoint::SafetensorsFile::open(std::filesystem::path(GALLOP_SOURCE_DIR) /
                                                "tests/golden/packed/packed.safetensors")) {
    EXPECT_TRUE(file_.ok()) << file_.error().message;
  }

  TensorView stored(std::string_view name) const {
    const TensorView view = checkpoint::stored_view(*file_, name);
    EXPECT_FALSE(view.empty()) << name;
    return view;
  }

  Result<checkpoint::SafetensorsFile> file_;
};

// The weights [n, k] of a part: what Linear gives for the rows of an identity, in steps of
// `rows_at_once`. A sum never is -0, so neither are these.
TestTensor weights_of(const LinearPart& part, int64_t rows_at_once) {
  const LinearWeight weight{.parts = {part}};
  TestTensor identity(DType::kF32, Shape{part.k(), part.k()});
  for (int64_t i = 0; i < identity.elements(); ++i) {
    identity.set(i, i % (part.k() + 1) == 0 ? 1 : 0);
  }
  TestTensor out(DType::kF32, Shape{part.k(), part.n()});
  for (int64_t row = 0; row < part.k(); row += rows_at_once) {
    run(Linear{.out = out.view().rows(row, row + rows_at_once),
               .x = identity.view().rows(row, row + rows_at_once),
               .weight = &weight});
  }
  TestTensor weights(DType::kF32, Shape{part.n(), part.k()});
  for (int64_t i = 0; i < weights.elements(); ++i) {
    weights.set(i, out.at(i % part.k() * part.n() + i / part.k()));
  }
  return weights;
}

// A copy in which -0 is 0.
TestTensor without_negative_zeros(const TensorView& values, int64_t n, int64_t k) {
  TestTensor copy(DType::kF32, Shape{n, k});
  for (int64_t i = 0; i < copy.elements(); ++i) {
    copy.set(i, static_cast<double>(values.as<const float>()[i] + 0.0f));
  }
  return copy;
}

TEST_F(PackedGolden, TheCodecDecodesEveryCodeUnderEveryScale) {
  const TensorView codes = stored("nvfp4.codes"), scales = stored("nvfp4.scales");
  const TensorView globals = stored("nvfp4.globals"), scaled = stored("nvfp4.scaled");
  std::vector<float> row(kBlock);
  for (int64_t g = 0; g < globals.extent(0); ++g) {
    for (int64_t byte = 0; byte < 256; ++byte) {
      codec::decode_nvfp4_row({codes.row<const uint8_t>(byte), kBlock / 2},
                              {scales.row<const uint8_t>(byte), 1}, globals.as<const float>()[g],
                              row);
      const float* expected = scaled.row<const float>(g) + byte * kBlock;
      EXPECT_EQ(std::memcmp(row.data(), expected, sizeof(float) * row.size()), 0)
          << "scale byte " << byte << ", global " << g;
    }
  }
}

TEST_F(PackedGolden, LinearHasEveryCodeUnderEveryScale) {
  const TensorView globals = stored("nvfp4.globals");
  for (const bool inverse : {false, true}) {
    const TensorView values = stored(inverse ? "nvfp4.divided" : "nvfp4.scaled");
    for (int64_t g = 0; g < globals.extent(0); ++g) {
      const float global = globals.as<const float>()[g];
      const LinearPart part{.weight = Nvfp4Weight{.codes = stored("nvfp4.codes"),
                                                  .scales = stored("nvfp4.scales"),
                                                  .global_scale = inverse ? 1 : global,
                                                  .global_divisor = inverse ? global : 1}};
      const TestTensor expected = without_negative_zeros(values.rows(g, g + 1), 256, kBlock);
      for (const int64_t rows : {1, 16}) {
        EXPECT_TRUE(
            same_bits(without_negative_zeros(weights_of(part, rows).view(), 256, kBlock).view(),
                      expected.view()))
            << "global " << global << ", " << rows << " rows at once";
      }
    }
  }
}

TEST_F(PackedGolden, LinearHasEveryByteOfFp8) {
  TestTensor one(DType::kF32, Shape{1});
  one.set(0, 1);
  const LinearPart part{.weight = Fp8Weight{.weight = stored("fp8.bytes"), .scales = one.view()}};
  const TestTensor expected = without_negative_zeros(stored("fp8.values"), 16, 16);
  for (const int64_t rows : {1, 16}) {
    EXPECT_TRUE(same_bits(weights_of(part, rows).view(), expected.view())) << rows;
  }
}

TEST_F(PackedGolden, RowsAreEncodedAsModelOptDoes) {
  const TensorView values = stored("encode.values"), globals = stored("encode.globals");
  std::vector<uint8_t> codes(128), scales(16);
  for (int64_t row = 0; row < values.extent(0); ++row) {
    const float global = globals.as<const float>()[row];
    codec::encode_nvfp4_row({values.row<const float>(row), 256}, global, codes, scales);
    EXPECT_TRUE(
        std::equal(scales.begin(), scales.end(), stored("encode.scales").row<const uint8_t>(row)))
        << "row " << row;
    EXPECT_TRUE(
        std::equal(codes.begin(), codes.end(), stored("encode.codes").row<const uint8_t>(row)))
        << "row " << row;
  }
  for (const int64_t row : {0, 1, 2, 3, 5, 7}) {  // the others' globals are chosen
    EXPECT_EQ(codec::nvfp4_global_scale(stored("encode.amax").as<const float>()[row]),
              globals.as<const float>()[row]);
  }
}

}  // namespace
}  // namespace gallop::ops
