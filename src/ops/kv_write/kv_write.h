// Keys and values of new rows into the paged cache.
#pragma once

#include "tensor/tensor_view.h"

namespace gallop::ops {

// k_pages[slots[row]] = k[row], v_pages[slots[row]] = v[row], where slot = page * page_size +
// offset. A negative slot writes nothing. No two rows have the same slot. Source: paged key-value
// caches (Kwon et al. 2023, PagedAttention, section 4).
struct KvWrite {
  TensorView k;        // [rows, kv_heads, head_dim] activation dtype, rows may be strided
  TensorView v;        // [rows, kv_heads, head_dim] activation dtype, rows may be strided
  TensorView slots;    // [rows] i32
  TensorView k_pages;  // [pages, page_size, kv_heads, head_dim] cache dtype
  TensorView v_pages;  // [pages, page_size, kv_heads, head_dim] cache dtype
};

void validate(const KvWrite& op);

}  // namespace gallop::ops
