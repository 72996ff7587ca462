// Expected values with a derived bound. A reference is written once, over Approx: exact values in
// double beside the largest error that the same formula can have in f32 (running error analysis,
// Higham 2002, section 3.3). No tolerance is chosen by hand.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "tensor/tensor_view.h"

namespace gallop::ops::testing {

// Unit roundoff of f32.
constexpr double kUnit = 0x1p-24;
// f32 exp, log1p, sin, cos of the C libraries stay below 2 ulp = 4 units.
constexpr double kFunctionUnits = 4;

struct Approx {
  double value = 0;
  double error = 0;

  Approx() = default;
  // An exact input.
  Approx(double exact) : value(exact) {}
  Approx(double of, double bound) : value(of), error(bound) {}
};

// `value`, computed from inputs whose errors move it by at most `error`, rounded `units` times.
inline Approx rounded(double value, double error, double units = 1) {
  const double room = units * kUnit / (1 - units * kUnit);
  return {value, error + room * (std::abs(value) + error) + 0x1p-149};
}

inline Approx operator-(Approx a) { return {-a.value, a.error}; }
inline Approx operator+(Approx a, Approx b) {
  return rounded(a.value + b.value, a.error + b.error);
}
inline Approx operator-(Approx a, Approx b) {
  return rounded(a.value - b.value, a.error + b.error);
}
inline Approx operator*(Approx a, Approx b) {
  return rounded(a.value * b.value,
                 std::abs(a.value) * b.error + std::abs(b.value) * a.error + a.error * b.error);
}
inline Approx operator/(Approx a, Approx b) {
  const double least = std::abs(b.value) - b.error;
  const double quotient = a.value / b.value;
  return rounded(quotient, (a.error + std::abs(quotient) * b.error) / least);
}
inline Approx exp(Approx x) {
  return rounded(std::exp(x.value), std::exp(x.value) * std::expm1(x.error), kFunctionUnits);
}
inline Approx log1p(Approx x) {
  return rounded(std::log1p(x.value), x.error / (1 + x.value - x.error), kFunctionUnits);
}
inline Approx sqrt(Approx x) {
  const double root = std::sqrt(x.value);
  return rounded(root, root - std::sqrt(std::max(0.0, x.value - x.error)));
}
inline Approx sin(Approx x) { return rounded(std::sin(x.value), x.error, kFunctionUnits); }
inline Approx cos(Approx x) { return rounded(std::cos(x.value), x.error, kFunctionUnits); }

// The sum of products x[i] * y[i]: n roundings of products and n of sums at most, in any order,
// with or without fused multiply-add: gamma_(n + 1) * sum |x_i y_i| (Higham 2002, equation 3.5).
class DotProduct {
 public:
  void add(Approx x, Approx y) {
    const double product = x.value * y.value;
    value_ += product;
    magnitude_ += std::abs(product);
    error_ += std::abs(x.value) * y.error + std::abs(y.value) * x.error + x.error * y.error;
    ++terms_;
  }
  Approx sum() const {
    const double nu = (terms_ + 1) * kUnit;
    return {value_, error_ + nu / (1 - nu) * (magnitude_ + error_) + terms_ * 0x1p-149};
  }

 private:
  double value_ = 0;
  double magnitude_ = 0;
  double error_ = 0;
  double terms_ = 0;
};

inline Approx sigmoid(Approx x) { return Approx(1) / (Approx(1) + exp(-x)); }
inline Approx silu(Approx x) { return x / (Approx(1) + exp(-x)); }

// Each element lies within its bound; else names the worst coordinate, both values and the bound.
::testing::AssertionResult close(const TensorView& actual, const std::vector<Approx>& expected);

// Bit for bit, NaN included; names the first coordinate that differs.
::testing::AssertionResult same_bits(const TensorView& actual, const TensorView& expected);

}  // namespace gallop::ops::testing
