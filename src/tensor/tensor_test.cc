#include <cstdlib>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "tensor/buffer.h"
#include "tensor/dtype.h"
#include "tensor/tensor_view.h"
#include "tensor/widen.h"

namespace gallop {
namespace {

Buffer host_buffer(size_t bytes) { return Buffer(std::calloc(bytes, 1), bytes, std::free); }

TEST(DType, NamesAndSizesGoTogether) {
  const std::vector<std::pair<DType, size_t>> sizes = {
      {DType::kF64, 8},    {DType::kF32, 4},    {DType::kBF16, 2},   {DType::kF16, 2},
      {DType::kF8E4M3, 1}, {DType::kF8E5M2, 1}, {DType::kF8E8M0, 1}, {DType::kI64, 8},
      {DType::kI32, 4},    {DType::kI16, 2},    {DType::kI8, 1},     {DType::kU64, 8},
      {DType::kU32, 4},    {DType::kU16, 2},    {DType::kU8, 1},     {DType::kBool, 1}};
  for (const auto& [dtype, bytes] : sizes) {
    EXPECT_EQ(dtype_bytes(dtype), bytes);
    EXPECT_EQ(dtype_from_name(dtype_name(dtype)), dtype);
  }
  // The names of the safetensors format (its Dtype enum, as serialised).
  for (const char* name : {"F64", "F32", "BF16", "F16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "I64",
                           "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}) {
    EXPECT_TRUE(dtype_from_name(name).has_value()) << name;
  }
  EXPECT_FALSE(dtype_from_name("f32").has_value());
  EXPECT_FALSE(dtype_from_name("").has_value());
}

// Every float dtype, from an odd address.
TEST(Widen, GivesTheExactValues) {
  const std::vector<float> values = {0, 1, -2.5f, 384, 0x1p-14f};
  const std::vector<uint16_t> bf16 = {0, 0x3f80, 0xc020, 0x43c0, 0x3880};
  const std::vector<uint16_t> f16 = {0, 0x3c00, 0xc100, 0x5e00, 0x0400};
  const auto widened = [&](const void* stored, DType dtype) {
    std::vector<uint8_t> bytes(1 + values.size() * dtype_bytes(dtype));
    std::memcpy(bytes.data() + 1, stored, bytes.size() - 1);
    std::vector<float> out(values.size(), -1);
    widen(bytes.data() + 1, dtype, static_cast<int64_t>(values.size()), out.data());
    return out;
  };
  EXPECT_EQ(widened(values.data(), DType::kF32), values);
  EXPECT_EQ(widened(bf16.data(), DType::kBF16), values);
  EXPECT_EQ(widened(f16.data(), DType::kF16), values);
}

TEST(Shape, CountsComparesAndPrints) {
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ((Shape{3, 0, 5}).elements(), 0);
  EXPECT_EQ((Shape{2, 3, 4, 5}).elements(), 120);
  EXPECT_FALSE((Shape{2, 3}) == (Shape{2, 3, 1}));
  EXPECT_EQ((Shape{2, 3}).with_extent(1, 7), (Shape{2, 7}));
  EXPECT_EQ((Shape{2, 3}).text(), "[2, 3]");
  EXPECT_EQ(Shape{}.text(), "[]");
}

TEST(TensorView, SlicesPointIntoTheSameMemory) {
  std::vector<float> data(24);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i);
  const TensorView view(data.data(), DType::kF32, Shape{4, 6});
  EXPECT_TRUE(view.contiguous());
  const TensorView part = view.rows(1, 3).columns(2, 5);
  EXPECT_EQ(part.shape(), (Shape{2, 3}));
  EXPECT_EQ(part.row<float>(0)[0], 8);
  EXPECT_EQ(part.row<float>(1)[2], 16);
  EXPECT_EQ(part.stride(0), 6);
  EXPECT_FALSE(part.contiguous());
  EXPECT_TRUE(view.rows(2, 2).contiguous());
  EXPECT_TRUE(part.rows(0, 1).contiguous());
}

TEST(TensorView, ReshapesWithoutMoving) {
  std::vector<float> data(48);
  const TensorView view(data.data(), DType::kF32, Shape{4, 12});
  const TensorView heads = view.reshaped(Shape{4, 3, 4});
  EXPECT_EQ(heads.stride(0), 12);
  EXPECT_EQ(heads.stride(1), 4);
  const TensorView strided = view.columns(4, 12).reshaped(Shape{4, 2, 4});
  EXPECT_EQ(strided.data(), data.data() + 4);
  EXPECT_EQ(strided.stride(0), 12);
  EXPECT_EQ(strided.stride(1), 4);
  const TensorView gate = heads.columns(2, 4);  // the second half of every head
  EXPECT_EQ(gate.row<float>(1) + gate.stride(1), data.data() + 12 + 4 + 2);
}

TEST(TensorViewDeathTest, RefusesWhatDoesNotFit) {
  std::vector<float> data(6);
  const TensorView view(data.data(), DType::kF32, Shape{2, 3});
  EXPECT_DEATH((void)view.rows(1, 3), "CHECK failed");
  EXPECT_DEATH((void)view.reshaped(Shape{2, 2}), "4 vs 6");
  EXPECT_DEATH((void)view.columns(0, 2).reshaped(Shape{4}), "CHECK failed");
  EXPECT_DEATH((void)view.as<uint16_t>(), "2 vs 4");
}

TEST(Buffer, FreesOnceWhenItsLastOwnerDies) {
  int freed = 0;
  std::vector<uint8_t> memory(64);
  {
    Buffer first(memory.data(), memory.size(), [&](void*) { ++freed; });
    Buffer second = std::move(first);
    EXPECT_EQ(second.bytes(), 64u);
    Buffer third;
    third = std::move(second);
    EXPECT_EQ(freed, 0);
    EXPECT_EQ(third.view(DType::kI64, Shape{8}).extent(0), 8);
  }
  EXPECT_EQ(freed, 1);
}

TEST(Arena, TensorsAreAlignedAndApart) {
  Arena arena;
  const size_t small = arena.reserve(DType::kU8, Shape{3});
  const size_t large = arena.reserve(DType::kF32, Shape{5, 7});
  const size_t none = arena.reserve(DType::kF32, Shape{0});
  const size_t last = arena.reserve(DType::kI64, Shape{1});
  EXPECT_EQ(arena.bytes(), 64u + 192u + 64u);
  const Buffer buffer = host_buffer(arena.bytes());
  const auto offset = [&](size_t number) {
    return static_cast<uint8_t*>(arena.place(number, buffer).data()) -
           static_cast<uint8_t*>(buffer.data());
  };
  EXPECT_EQ(offset(small), 0);
  EXPECT_EQ(offset(large), 64);
  EXPECT_EQ(offset(none), 256);
  EXPECT_EQ(offset(last), 256);
  EXPECT_EQ(arena.place(large, buffer).shape(), (Shape{5, 7}));
  EXPECT_EQ(arena.place(last, buffer).dtype(), DType::kI64);
}

}  // namespace
}  // namespace gallop
