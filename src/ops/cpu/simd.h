// The inner loops of the CPU backend, compiled once per instruction set and chosen at run time
// (Highway). Every result is one fixed chain of operations, so it depends on its inputs alone; on
// every instruction set with fused multiply-add the bits are equal.
#pragma once

#include <cstdint>

namespace gallop::ops::simd {

// Sum of a[i] * b[i], added up in the order that the contract of Linear gives.
float dot(const float* a, const float* b, int64_t n);

// y[i] = fma(a, x[i], y[i]).
void axpy(float a, const float* x, float* y, int64_t n);

// The instruction set in use, as Highway names it ("AVX3", "AVX2", "NEON", ...).
const char* instruction_set();

}  // namespace gallop::ops::simd
