#include "codec/nvfp4.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "codec/e4m3.h"

namespace gallop::codec {
namespace {

struct Row {
  std::vector<uint8_t> codes;
  std::vector<uint8_t> scales;
};

Row encode(const std::vector<float>& values, float global_scale) {
  Row row{.codes = std::vector<uint8_t>(values.size() / 2),
          .scales = std::vector<uint8_t>(values.size() / 16)};
  encode_nvfp4_row(values, global_scale, row.codes, row.scales);
  return row;
}

std::vector<float> decode(const Row& row, float global_scale) {
  std::vector<float> values(row.codes.size() * 2);
  decode_nvfp4_row(row.codes, row.scales, global_scale, values);
  return values;
}

TEST(Nvfp4, CodesRoundTiesToTheEven) {
  const std::vector<std::pair<float, int>> cases = {
      {0, 0},     {0.25f, 0}, {0.26f, 1}, {0.5f, 1},  {0.74f, 1},   {0.75f, 2},
      {1, 2},     {1.25f, 2}, {1.26f, 3}, {1.74f, 3}, {1.75f, 4},   {2.5f, 4},
      {2.51f, 5}, {3.49f, 5}, {3.5f, 6},  {5, 6},     {5.01f, 7},   {6, 7},
      {1000, 7},  {NAN, 7},   {-0.1f, 8}, {-0.5f, 9}, {-5.01f, 15}, {-INFINITY, 15}};
  for (const auto& [value, code] : cases) EXPECT_EQ(encode_e2m1(value), code) << value;
  EXPECT_EQ(encode_e2m1(-0.0f), 0);  // the sign of a zero is dropped
}

TEST(Nvfp4, BlocksOfZerosAndOfTheLargest) {
  std::vector<float> values(48, 0.0f);
  values[16] = -1.75f;  // the tensor's largest
  values[32] = 1e-9f;   // its block would have a scale below the smallest
  const float global_scale = nvfp4_global_scale(1.75f);
  const Row row = encode(values, global_scale);
  EXPECT_EQ(row.scales, (std::vector<uint8_t>{0x38, 0x7e, 0x01}));
  EXPECT_EQ(row.codes[8], 0x0f);
  EXPECT_EQ(std::count(row.codes.begin(), row.codes.end(), 0), 23);
  EXPECT_FLOAT_EQ(decode(row, global_scale)[16], -1.75f);
  EXPECT_EQ(nvfp4_global_scale(0), 1);
  EXPECT_EQ(encode(std::vector<float>(16, 0.0f), 1).scales[0], 0x38);
}

// A global scale that was made smaller, as a calibration that clips leaves it: the largest blocks
// saturate and stay numbers.
TEST(Nvfp4, BlocksBeyondTheGlobalScaleSaturate) {
  const std::vector<float> values(16, 470.0f * 6);
  const Row row = encode(values, 1);
  EXPECT_EQ(row.scales[0], 0x7e);
  EXPECT_EQ(row.codes, std::vector<uint8_t>(8, 0x77));
  EXPECT_EQ(decode(row, 1)[3], 6 * 448.0f);
}

TEST(Nvfp4, ABlockWhoseScaleIsNanIsZero) {
  const Row row{.codes = std::vector<uint8_t>(16, 0x77), .scales = {0x7f, 0xff}};
  EXPECT_EQ(decode(row, 0.5f), std::vector<float>(32, 0.0f));
}

TEST(Nvfp4, TheLowHalfOfAByteIsTheEvenIndex) {
  Row row{.codes = std::vector<uint8_t>(8, 0), .scales = {0x38}};
  row.codes[3] = 0x5f;
  const std::vector<float> values = decode(row, 2);
  EXPECT_EQ(values[6], -12);
  EXPECT_EQ(values[7], 6);
}

// An error is at most half of the widest step, from 4 to 6: one unit of the block. At the top the
// unit's own rounding may cut off 6 * 2^-4 of a unit, which is less.
TEST(Nvfp4, RandomRowsStayWithinHalfAStep) {
  constexpr uint64_t kSeed = 7;
  std::mt19937_64 engine(kSeed);
  std::vector<float> values(16 * 500);
  for (float& value : values) {
    value = static_cast<float>(static_cast<double>(engine() >> 11) * 0x1p-53 - 0.5);
  }
  float amax = 0;
  for (const float value : values) amax = std::max(amax, std::abs(value));
  const float global_scale = nvfp4_global_scale(amax);
  const Row row = encode(values, global_scale);
  const std::vector<float> back = decode(row, global_scale);
  for (size_t i = 0; i < values.size(); ++i) {
    const float step = decode_e4m3(row.scales[i / 16]) * global_scale;
    EXPECT_LE(std::abs(values[i] - back[i]), step * 1.001f) << i << ", seed " << kSeed;
  }
  // What was encoded once is a fixed point.
  const Row again = encode(back, nvfp4_global_scale(amax));
  EXPECT_EQ(decode(again, global_scale), back);
}

}  // namespace
}  // namespace gallop::codec
