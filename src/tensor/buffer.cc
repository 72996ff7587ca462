#include "tensor/buffer.h"

namespace gallop {
namespace {

constexpr size_t kAlignment = 64;

size_t tensor_bytes(DType dtype, const Shape& shape) {
  return static_cast<size_t>(shape.elements()) * dtype_bytes(dtype);
}

}  // namespace

TensorView Buffer::view(DType dtype, const Shape& shape) const {
  CHECK_LE(tensor_bytes(dtype, shape), bytes_);
  return TensorView(data_, dtype, shape);
}

size_t Arena::reserve(DType dtype, const Shape& shape) {
  planned_.push_back({dtype, shape, bytes_});
  bytes_ += (tensor_bytes(dtype, shape) + kAlignment - 1) / kAlignment * kAlignment;
  return planned_.size() - 1;
}

TensorView Arena::place(size_t number, const Buffer& buffer) const {
  CHECK_LT(number, planned_.size());
  CHECK_LE(bytes_, buffer.bytes());
  const Planned& planned = planned_[number];
  return TensorView(static_cast<uint8_t*>(buffer.data()) + planned.offset, planned.dtype,
                    planned.shape);
}

}  // namespace gallop
