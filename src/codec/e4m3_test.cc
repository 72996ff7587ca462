#include "codec/e4m3.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace gallop::codec {
namespace {

// The definition: sign * mantissa * 2^exponent.
double value_by_definition(int byte) {
  const int exponent = (byte >> 3) & 15;
  const int mantissa = byte & 7;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return byte & 0x80 ? -magnitude : magnitude;
}

// The nearest byte, found among all: of two equally near ones the even.
int nearest(double value) {
  int best = 0;
  for (int byte = 0; byte < 0x7f; ++byte) {
    const double distance = std::abs(value_by_definition(byte) - std::abs(value));
    const double least = std::abs(value_by_definition(best) - std::abs(value));
    if (distance < least || (distance == least && byte % 2 == 0)) best = byte;
  }
  return best | (std::signbit(value) ? 0x80 : 0);
}

TEST(E4m3, DecodesEveryByte) {
  for (int byte = 0; byte < 256; ++byte) {
    const float value = decode_e4m3(static_cast<uint8_t>(byte));
    EXPECT_EQ(kE4m3Values[static_cast<size_t>(byte)], value) << byte;
    if ((byte & 0x7f) == 0x7f) {
      EXPECT_EQ(value, 0) << byte;
      EXPECT_TRUE(is_e4m3_nan(static_cast<uint8_t>(byte)));
    } else {
      EXPECT_EQ(static_cast<double>(value), value_by_definition(byte)) << byte;
      EXPECT_EQ(encode_e4m3(value), byte);  // -0 keeps its sign
    }
  }
  EXPECT_EQ(decode_e4m3(0x7e), kE4m3Max);
  EXPECT_EQ(decode_e4m3(0x01), kE4m3Min);
}

TEST(E4m3, RoundsToTheNearest) {
  constexpr uint64_t kSeed = 1;
  std::mt19937_64 engine(kSeed);
  for (int i = 0; i < 20000; ++i) {
    const double mantissa = 1 + static_cast<double>(engine() % 4096) / 4096;
    const double value = std::ldexp(mantissa, static_cast<int>(engine() % 24) - 14);
    const float signed_value = static_cast<float>(engine() % 2 ? value : -value);
    EXPECT_EQ(encode_e4m3(signed_value), nearest(static_cast<double>(signed_value)))
        << signed_value << ", seed " << kSeed;
  }
}

TEST(E4m3, TiesGoToTheEvenAndLargeOnesSaturate) {
  for (int byte = 0; byte < 0x7e; ++byte) {  // the middle between neighbours is an exact float
    const float middle =
        static_cast<float>((value_by_definition(byte) + value_by_definition(byte + 1)) / 2);
    EXPECT_EQ(encode_e4m3(middle), byte % 2 == 0 ? byte : byte + 1) << middle;
    EXPECT_EQ(encode_e4m3(std::nextafter(middle, 0.0f)), byte);
    EXPECT_EQ(encode_e4m3(std::nextafter(middle, 1000.0f)), byte + 1);
  }
  for (const float large : {448.0f, 463.0f, 464.0f, 470.0f, 1e30f, INFINITY}) {
    EXPECT_EQ(encode_e4m3(large), 0x7e) << large;
    EXPECT_EQ(encode_e4m3(-large), 0xfe) << large;
  }
  EXPECT_EQ(encode_e4m3(NAN) & 0x7f, 0x7f);
}

}  // namespace
}  // namespace gallop::codec
