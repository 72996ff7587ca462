#include <cstdlib>

#include <gtest/gtest.h>

#include "tensor/buffer.h"
#include "tensor/dtype.h"
#include "tensor/tensor_view.h"

namespace gallop {
namespace {

Buffer host_buffer(size_t bytes) { return Buffer(std::calloc(bytes, 1), bytes, std::free); }

TEST(DType, NamesAndSizesGoTogether) {
  const std::vector<std::pair<DType, size_t>> sizes = {
      {DType::kF32, 4}, {DType::kBF16, 2}, {DType::kF16, 2},    {DType::kI32, 4},
      {DType::kI64, 8}, {DType::kU8, 1},   {DType::kF8E4M3, 1}, {DType::kBool, 1}};
  for (const auto& [dtype, bytes] : sizes) {
    EXPECT_EQ(dtype_bytes(dtype), bytes);
    EXPECT_EQ(dtype_from_name(dtype_name(dtype)), dtype);
  }
  EXPECT_EQ(dtype_name(DType::kF8E4M3), "F8_E4M3");
  EXPECT_FALSE(dtype_from_name("f32").has_value());
  EXPECT_FALSE(dtype_from_name("").has_value());
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
