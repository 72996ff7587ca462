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

// One token of one value head: S is `state` [k_dim, v_dim], rows contiguous (GdnUpdate says what it
// computes). Each column j is a chain of its own, ascending over k.
struct GdnToken {
  const float* q = nullptr;  // [k_dim], normalised and scaled
  const float* k = nullptr;  // [k_dim], normalised
  const float* v = nullptr;  // [v_dim]
  float decay = 1;           // exp(g)
  float beta = 0;
  float* u = nullptr;    // [v_dim], written
  float* out = nullptr;  // [v_dim], written
  int64_t k_dim = 0;
  int64_t v_dim = 0;
};
void gdn_token(float* state, const GdnToken& token);

// S <- decay S, then S <- S + k u^T: what gdn_token did to the state, bit for bit.
void gdn_fold(float* state, const float* k, const float* u, float decay, int64_t k_dim,
              int64_t v_dim);

// The instruction set in use, as Highway names it ("AVX3", "AVX2", "NEON", ...).
const char* instruction_set();

}  // namespace gallop::ops::simd
