// The inner loops of the CPU backend, compiled once per instruction set and chosen at run time
// (Highway). Every result is one fixed chain of operations, so it depends on its inputs alone; on
// every instruction set with fused multiply-add the bits are equal.
#pragma once

#include <cstdint>

namespace gallop::ops::simd {

// Sum of a[i] * b[i], added up by sixteen lanes, ascending, and one fixed tree over them.
float dot(const float* a, const float* b, int64_t n);

// With silu(z) = z / (1 + exp(-z)) and sigmoid(z) = 1 / (1 + exp(-z)); exp is within 1 ulp.
// out[i] = silu(gate[i]) * up[i]
void silu_mul(const float* gate, const float* up, float* out, int64_t n);
// x[i] = x[i] * sigmoid(gate[i])
void sigmoid_mul(const float* gate, float* x, int64_t n);
// out[i] = x[i] * scale * weight[i] * silu(gate[i])
void scale_silu_mul(const float* x, float scale, const float* weight, const float* gate, float* out,
                    int64_t n);
// out[r, c] = silu(sum over taps j of weight[c * taps + j] * inputs[r + j][c]), summed ascending
// from 0, products rounded.
struct Convolution {
  const float* const* inputs = nullptr;  // [rows + taps - 1], each [channels]
  int64_t rows = 0;
  int64_t taps = 0;
  const float* weight = nullptr;  // [channels, taps]
  float* out = nullptr;           // [rows, channels], rows `out_stride` apart
  int64_t out_stride = 0;
  int64_t channels = 0;
};
void convolve_silu(const Convolution& op);

// out[i] = x[i] * scale * (offset + weight[i])
void scale_weigh(const float* x, float scale, const float* weight, float offset, float* out,
                 int64_t n);
// out[i] = x[i] / divisor
void divide(const float* x, float divisor, float* out, int64_t n);
// Cosine and sine of position * frequencies[i], the angle rounded to f32; within 1 ulp where
// multiply-adds are fused, else off by up to 2^-53 of the angle besides.
void cosines_and_sines(const float* frequencies, int32_t position, float* cosines, float* sines,
                       int64_t n);
// (x[i], x[i + half]) turned by the angle i of [0, half).
void rotate(float* x, const float* cosines, const float* sines, int64_t half);

// The first of the largest x[i]; a NaN is never it. 0 when all are NaN or -inf.
int64_t argmax(const float* x, int64_t n);

// Whether the instruction set in use has fused multiply-add; the older ones round the product.
bool has_fused_multiply_add();

// The instruction set in use, as Highway names it ("AVX3", "AVX2", "NEON", ...).
const char* instruction_set();

}  // namespace gallop::ops::simd
