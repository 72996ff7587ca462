// A typed window on memory that somebody else owns. Rank is at most 4; the innermost dimension is
// contiguous, outer dimensions may be strided (a column slice of a wider buffer is a view).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>

#include "base/check.h"
#include "tensor/dtype.h"

namespace gallop {

// Extents, outermost first.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<int64_t> extents);

  int rank() const { return rank_; }
  int64_t operator[](int axis) const {
    CHECK(axis >= 0 && axis < rank_);
    return extents_[static_cast<size_t>(axis)];
  }
  // Product of all extents; 1 for rank 0.
  int64_t elements() const;
  // The same shape but for one axis.
  Shape with_extent(int axis, int64_t extent) const;
  bool operator==(const Shape& other) const;
  // "[3, 128]"
  std::string text() const;

 private:
  std::array<int64_t, kMaxRank> extents_ = {};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

class TensorView {
 public:
  TensorView() = default;
  // Rows contiguous.
  TensorView(void* data, DType dtype, const Shape& shape);

  bool empty() const { return data_ == nullptr; }
  void* data() const { return data_; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t extent(int axis) const { return shape_[axis]; }
  // Elements from one index of `axis` to the next.
  int64_t stride(int axis) const { return strides_[static_cast<size_t>(axis)]; }
  bool contiguous() const;

  // The first element as T, whose size must be the dtype's.
  template <typename T>
  T* as() const {
    CHECK_EQ(sizeof(T), dtype_bytes(dtype_));
    return static_cast<T*>(data_);
  }
  // Row `index` of the outermost axis as T.
  template <typename T>
  T* row(int64_t index) const {
    return as<T>() + index * strides_[0];
  }

  // [begin, end) of the outermost axis.
  TensorView rows(int64_t begin, int64_t end) const;
  // [begin, end) of the innermost axis.
  TensorView columns(int64_t begin, int64_t end) const;
  // The same elements as another shape. The innermost axis may be split ([rows, heads * dim] to
  // [rows, heads, dim], also of a strided view); any other change needs a contiguous view.
  TensorView reshaped(const Shape& shape) const;

 private:
  TensorView slice(int axis, int64_t begin, int64_t end) const;

  void* data_ = nullptr;
  DType dtype_ = DType::kF32;
  Shape shape_;
  std::array<int64_t, Shape::kMaxRank> strides_ = {};
};

}  // namespace gallop
