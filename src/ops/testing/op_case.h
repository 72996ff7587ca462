// Inputs and outputs of op tests. Owns memory in which everything outside the tensor's elements is
// 0xff: NaN as a float, -1 as an integer. An op that reads past its views poisons its result, one
// that writes past them is seen by guards_intact(), and an output nobody wrote stays NaN.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "ops/backend.h"
#include "ops/ragged_batch.h"
#include "tensor/tensor_view.h"

namespace gallop::ops::testing {

// Seeded numbers; the same on every standard library.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // In [low, high).
  double uniform(double low, double high);
  double normal();
  // In [0, count).
  int64_t below(int64_t count);
  // 0 .. count - 1 in random order.
  std::vector<int32_t> permutation(int64_t count);

 private:
  std::mt19937_64 engine_;
};

enum class Layout {
  kContiguous,
  kStridedRows,   // each outermost index is followed by some foreign elements
  kStridedInner,  // each innermost run is followed by some foreign elements
};

class TestTensor {
 public:
  // All elements poisoned.
  TestTensor(DType dtype, const Shape& shape, Layout layout = Layout::kContiguous);
  TestTensor(const TestTensor& other);
  TestTensor(TestTensor&& other) = default;
  TestTensor& operator=(TestTensor other);
  static TestTensor normal(Random& random, const Shape& shape, double scale = 1,
                           Layout layout = Layout::kContiguous);
  static TestTensor of_ints(const std::vector<int32_t>& values);
  static TestTensor of_floats(const std::vector<float>& values);

  const TensorView& view() const { return view_; }
  // Element number `index` in row-major order; float types are widened.
  double at(int64_t index) const;
  // Rounds to the element type.
  void set(int64_t index, double value);
  void poison();
  std::vector<double> values() const;
  int64_t elements() const { return view_.shape().elements(); }
  // Whether all bytes outside the elements are still 0xff.
  bool guards_intact() const;

 private:
  size_t byte_offset(int64_t index) const;
  TensorView view_of_storage(DType dtype, const Shape& shape) const;

  Layout layout_;
  std::vector<uint8_t> storage_;
  TensorView view_;  // into storage_
};

double element(const TensorView& view, int64_t index);

// The bookkeeping of a step. Rows are laid out in the order of `sequences` (row_begin is filled
// in); kv slots follow from the page tables when there are any.
class TestBatch {
 public:
  explicit TestBatch(std::vector<SequenceRows> sequences,
                     const std::vector<std::vector<int32_t>>& pages = {}, int32_t page_size = 1);

  RaggedBatch batch() const;
  int64_t rows() const { return positions_.elements(); }

 private:
  std::vector<SequenceRows> sequences_;
  TestTensor positions_;
  TestTensor kv_slots_;
  TestTensor page_table_;
};

// Runs one op on the CPU backend of so many threads (1 to 4).
void run(const Op& op, int threads = 1);

}  // namespace gallop::ops::testing
