// Owns bytes on one device; whoever allocated them says how they are freed.
#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "tensor/tensor_view.h"

namespace gallop {

class Buffer {
 public:
  using Free = std::function<void(void*)>;

  Buffer() = default;
  Buffer(void* data, size_t bytes, Free free)
      : data_(data), bytes_(bytes), free_(std::move(free)) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_ != nullptr) free_(data_);
  }

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

  // The first elements of the buffer as a tensor.
  TensorView view(DType dtype, const Shape& shape) const;

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(free_, other.free_);
  }

  void* data_ = nullptr;
  size_t bytes_ = 0;
  Free free_;
};

// Plans tensors one behind the other in a buffer that is allocated later: first every `reserve`,
// then one allocation of bytes(), then `place` gives the views. Offsets are multiples of 64.
class Arena {
 public:
  // Returns the tensor's number.
  size_t reserve(DType dtype, const Shape& shape);
  size_t bytes() const { return bytes_; }
  // The tensor of that number inside `buffer`, which holds at least bytes().
  TensorView place(size_t number, const Buffer& buffer) const;

 private:
  struct Planned {
    DType dtype;
    Shape shape;
    size_t offset;
  };
  std::vector<Planned> planned_;
  size_t bytes_ = 0;
};

}  // namespace gallop
