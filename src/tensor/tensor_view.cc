#include "tensor/tensor_view.h"

#include <fmt/format.h>

namespace gallop {

Shape::Shape(std::initializer_list<int64_t> extents) {
  CHECK_LE(extents.size(), static_cast<size_t>(kMaxRank));
  for (const int64_t extent : extents) {
    CHECK_GE(extent, 0);
    extents_[static_cast<size_t>(rank_++)] = extent;
  }
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int axis = 0; axis < rank_; ++axis) product *= extents_[static_cast<size_t>(axis)];
  return product;
}

Shape Shape::with_extent(int axis, int64_t extent) const {
  CHECK(axis >= 0 && axis < rank_ && extent >= 0);
  Shape shape = *this;
  shape.extents_[static_cast<size_t>(axis)] = extent;
  return shape;
}

bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ && extents_ == other.extents_;
}

std::string Shape::text() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) {
    text += fmt::format("{}{}", axis == 0 ? "" : ", ", extents_[static_cast<size_t>(axis)]);
  }
  return text + "]";
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.text(); }

TensorView::TensorView(void* data, DType dtype, const Shape& shape)
    : data_(data), dtype_(dtype), shape_(shape) {
  int64_t stride = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides_[static_cast<size_t>(axis)] = stride;
    stride *= shape[axis];
  }
}

bool TensorView::contiguous() const {
  int64_t stride = 1;
  for (int axis = shape_.rank() - 1; axis >= 0; --axis) {
    if (strides_[static_cast<size_t>(axis)] != stride && shape_[axis] > 1) return false;
    stride *= shape_[axis];
  }
  return true;
}

TensorView TensorView::slice(int axis, int64_t begin, int64_t end) const {
  CHECK(begin >= 0 && begin <= end && end <= shape_[axis]);
  TensorView view = *this;
  view.data_ = static_cast<uint8_t*>(data_) +
               static_cast<size_t>(begin * stride(axis)) * dtype_bytes(dtype_);
  view.shape_ = shape_.with_extent(axis, end - begin);
  return view;
}

TensorView TensorView::rows(int64_t begin, int64_t end) const { return slice(0, begin, end); }

TensorView TensorView::columns(int64_t begin, int64_t end) const {
  return slice(shape_.rank() - 1, begin, end);
}

TensorView TensorView::reshaped(const Shape& shape) const {
  CHECK_EQ(shape.elements(), shape_.elements());
  if (contiguous()) return TensorView(data_, dtype_, shape);
  CHECK(shape_.rank() == 2 && shape.rank() == 3 && shape[0] == shape_[0]);
  TensorView view(data_, dtype_, shape);
  view.strides_[0] = strides_[0];
  return view;
}

}  // namespace gallop
