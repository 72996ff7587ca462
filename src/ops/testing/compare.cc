#include "ops/testing/compare.h"

#include <cstring>
#include <string>

#include <fmt/format.h>

#include "ops/testing/op_case.h"

namespace gallop::ops::testing {
namespace {

std::string coordinate(const Shape& shape, int64_t index) {
  std::string text = "]";
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    text = fmt::format("{}{}{}", axis == 0 ? "[" : ", ", index % shape[axis], text);
    index /= shape[axis];
  }
  return text;
}

}  // namespace

::testing::AssertionResult close(const TensorView& actual, const std::vector<Approx>& expected) {
  if (actual.shape().elements() != static_cast<int64_t>(expected.size())) {
    return ::testing::AssertionFailure()
           << "shape " << actual.shape() << " but " << expected.size() << " expected values";
  }
  size_t worst = 0;
  double worst_ratio = -1;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double difference =
        std::abs(element(actual, static_cast<int64_t>(i)) - expected[i].value);
    const double ratio = difference == 0 ? 0 : difference / std::max(expected[i].error, 0x1p-1000);
    if (std::isnan(ratio) || ratio > worst_ratio) {
      worst = i;
      worst_ratio = ratio;
      if (std::isnan(ratio)) break;
    }
  }
  if (worst_ratio <= 1) return ::testing::AssertionSuccess();
  const auto index = static_cast<int64_t>(worst);
  return ::testing::AssertionFailure() << fmt::format(
             "at {} of {}: {:.9g}, expected {:.9g} +- {:.3g} ({:.3g} bounds away)",
             coordinate(actual.shape(), index), actual.shape().text(), element(actual, index),
             expected[worst].value, expected[worst].error, worst_ratio);
}

::testing::AssertionResult same_bits(const TensorView& actual, const TensorView& expected) {
  if (!(actual.shape() == expected.shape()) || actual.dtype() != expected.dtype()) {
    return ::testing::AssertionFailure()
           << "shape " << actual.shape() << " against " << expected.shape();
  }
  for (int64_t i = 0; i < actual.shape().elements(); ++i) {
    const double left = element(actual, i);
    const double right = element(expected, i);
    if (std::memcmp(&left, &right, sizeof left) == 0) continue;
    return ::testing::AssertionFailure() << fmt::format("at {}: {:.9g}, expected exactly {:.9g}",
                                                        coordinate(actual.shape(), i), left, right);
  }
  return ::testing::AssertionSuccess();
}

}  // namespace gallop::ops::testing
