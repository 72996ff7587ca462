#include "ops/testing/op_case.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <numbers>
#include <numeric>

#include "base/float_types.h"
#include "ops/cpu/cpu_backend.h"

namespace gallop::ops::testing {
namespace {

constexpr size_t kGuardBytes = 256;
constexpr int64_t kForeignElements = 5;

// Rounds to nearest, ties to even, subnormals included; the value is in range.
uint16_t to_f16(double value) {
  const double magnitude = std::abs(value);
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (magnitude == 0) return sign;
  const int exponent = std::max(std::ilogb(magnitude), -14);
  const auto units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  return static_cast<uint16_t>(sign + ((exponent + 14) << 10) + units);
}

// With room for foreign elements.
Shape wide_shape(const Shape& shape, Layout layout) {
  const int last = shape.rank() - 1;
  switch (layout) {
    case Layout::kStridedRows:
      return Shape{shape[0], shape.elements() / std::max<int64_t>(1, shape[0]) + kForeignElements};
    case Layout::kStridedInner:
      return shape.with_extent(last, shape[last] + kForeignElements);
    case Layout::kContiguous:
      break;
  }
  return shape;
}

std::vector<SequenceRows> with_row_begins(std::vector<SequenceRows> sequences) {
  int32_t row = 0;
  for (SequenceRows& sequence : sequences) {
    sequence.row_begin = row;
    row += sequence.rows;
  }
  return sequences;
}

int64_t count_rows(const std::vector<SequenceRows>& sequences) {
  int64_t rows = 0;
  for (const SequenceRows& sequence : sequences) rows += sequence.rows;
  return rows;
}

int64_t longest(const std::vector<std::vector<int32_t>>& lists) {
  size_t most = 1;
  for (const auto& list : lists) most = std::max(most, list.size());
  return static_cast<int64_t>(most);
}

}  // namespace

double Random::uniform(double low, double high) {
  return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
}

double Random::normal() {  // Box-Muller
  const double radius = std::sqrt(-2 * std::log(uniform(0x1p-53, 1)));
  return radius * std::cos(2 * std::numbers::pi * uniform(0, 1));
}

int64_t Random::below(int64_t count) {
  return static_cast<int64_t>(engine_() % static_cast<uint64_t>(count));
}

std::vector<int32_t> Random::permutation(int64_t count) {
  std::vector<int32_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(below(i + 1))]);
  }
  return order;
}

TestTensor::TestTensor(DType dtype, const Shape& shape, Layout layout)
    : layout_(layout),
      storage_(static_cast<size_t>(wide_shape(shape, layout).elements()) * dtype_bytes(dtype) +
                   2 * kGuardBytes,
               0xff),
      view_(view_of_storage(dtype, shape)) {}

TestTensor::TestTensor(const TestTensor& other)
    : layout_(other.layout_),
      storage_(other.storage_),
      view_(view_of_storage(other.view_.dtype(), other.view_.shape())) {}

TestTensor& TestTensor::operator=(TestTensor other) {
  layout_ = other.layout_;
  storage_.swap(other.storage_);
  view_ = other.view_;
  return *this;
}

TensorView TestTensor::view_of_storage(DType dtype, const Shape& shape) const {
  const int64_t last = shape[shape.rank() - 1];
  const int64_t width = shape[0] == 0 ? 0 : shape.elements() / shape[0];
  const TensorView wide(const_cast<uint8_t*>(storage_.data()) + kGuardBytes, dtype,
                        wide_shape(shape, layout_));
  switch (layout_) {
    case Layout::kStridedRows:
      return shape.rank() == 3 ? wide.columns(0, width).reshaped(shape) : wide.columns(0, width);
    case Layout::kStridedInner:
      return wide.columns(0, last);
    case Layout::kContiguous:
      break;
  }
  return wide;
}

TestTensor TestTensor::normal(Random& random, const Shape& shape, double scale, Layout layout) {
  TestTensor tensor(DType::kF32, shape, layout);
  for (int64_t i = 0; i < shape.elements(); ++i) tensor.set(i, random.normal() * scale);
  return tensor;
}

TestTensor TestTensor::of_ints(const std::vector<int32_t>& values) {
  TestTensor tensor(DType::kI32, Shape{static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) tensor.set(static_cast<int64_t>(i), values[i]);
  return tensor;
}

TestTensor TestTensor::of_floats(const std::vector<float>& values) {
  TestTensor tensor(DType::kF32, Shape{static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) {
    tensor.set(static_cast<int64_t>(i), static_cast<double>(values[i]));
  }
  return tensor;
}

size_t TestTensor::byte_offset(int64_t index) const {
  int64_t offset = 0;
  for (int axis = view_.shape().rank() - 1; axis >= 0; --axis) {
    offset += index % view_.extent(axis) * view_.stride(axis);
    index /= view_.extent(axis);
  }
  return kGuardBytes + static_cast<size_t>(offset) * dtype_bytes(view_.dtype());
}

double element(const TensorView& view, int64_t index) {
  int64_t offset = 0;
  for (int axis = view.shape().rank() - 1; axis >= 0; --axis) {
    offset += index % view.extent(axis) * view.stride(axis);
    index /= view.extent(axis);
  }
  switch (view.dtype()) {
    case DType::kF32:
      return static_cast<double>(view.as<const float>()[offset]);
    case DType::kBF16:
      return static_cast<double>(bf16_to_f32(view.as<const uint16_t>()[offset]));
    case DType::kF16:
      return static_cast<double>(f16_to_f32(view.as<const uint16_t>()[offset]));
    case DType::kI32:
      return view.as<const int32_t>()[offset];
    default:
      check_failed(__FILE__, __LINE__, "test tensors are F32, BF16, F16 or I32");
  }
}

double TestTensor::at(int64_t index) const { return element(view_, index); }

void TestTensor::set(int64_t index, double value) {
  uint8_t* place = storage_.data() + byte_offset(index);
  const auto store = [place](auto bits) { std::memcpy(place, &bits, sizeof bits); };
  switch (view_.dtype()) {
    case DType::kF32:
      return store(static_cast<float>(value));
    case DType::kBF16:
      return store(f32_to_bf16(static_cast<float>(value)));
    case DType::kF16:
      return store(to_f16(value));
    case DType::kI32:
      return store(static_cast<int32_t>(value));
    default:
      check_failed(__FILE__, __LINE__, "test tensors are F32, BF16, F16 or I32");
  }
}

void TestTensor::poison() { std::fill(storage_.begin(), storage_.end(), uint8_t{0xff}); }

std::vector<double> TestTensor::values() const {
  std::vector<double> values(static_cast<size_t>(elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = at(static_cast<int64_t>(i));
  return values;
}

bool TestTensor::guards_intact() const {
  std::vector<uint8_t> rest = storage_;
  for (int64_t i = 0; i < elements(); ++i) {
    std::memset(rest.data() + byte_offset(i), 0xff, dtype_bytes(view_.dtype()));
  }
  return std::all_of(rest.begin(), rest.end(), [](uint8_t byte) { return byte == 0xff; });
}

TestBatch::TestBatch(std::vector<SequenceRows> sequences,
                     const std::vector<std::vector<int32_t>>& pages, int32_t page_size)
    : sequences_(with_row_begins(std::move(sequences))),
      positions_(DType::kI32, Shape{count_rows(sequences_)}),
      kv_slots_(DType::kI32, Shape{count_rows(sequences_)}),
      page_table_(DType::kI32, Shape{static_cast<int64_t>(sequences_.size()), longest(pages)}) {
  for (size_t s = 0; s < sequences_.size(); ++s) {
    const SequenceRows& sequence = sequences_[s];
    for (size_t i = 0; s < pages.size() && i < pages[s].size(); ++i) {
      page_table_.set(
          static_cast<int64_t>(s) * page_table_.view().extent(1) + static_cast<int64_t>(i),
          pages[s][i]);
    }
    for (int32_t i = 0; i < sequence.rows; ++i) {
      const int32_t position = sequence.position + i;
      positions_.set(sequence.row_begin + i, position);
      if (s >= pages.size()) continue;
      const int32_t page = pages[s].at(static_cast<size_t>(position / page_size));
      kv_slots_.set(sequence.row_begin + i, page * page_size + position % page_size);
    }
  }
}

RaggedBatch TestBatch::batch() const {
  const auto count = static_cast<int64_t>(sequences_.size());
  return {.sequences = TensorView(const_cast<SequenceRows*>(sequences_.data()), DType::kI32,
                                  Shape{count, 6}),
          .positions = positions_.view(),
          .kv_slots = kv_slots_.view(),
          .page_table = page_table_.view()};
}

void run(const Op& op, int threads) {
  static std::array<std::unique_ptr<Backend>, 5> backends;
  std::unique_ptr<Backend>& backend = backends.at(static_cast<size_t>(threads));
  if (backend == nullptr) backend = make_cpu_backend(threads);
  backend->run(op);
}

}  // namespace gallop::ops::testing
