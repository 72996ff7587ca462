// Where a position of a sequence lies in a paged cache.
#pragma once

#include <cstdint>
#include <span>

namespace gallop::cache {

// Tokens a page holds. Small enough that a short request wastes little, large enough that a page
// table stays short (2,048 entries at 32k tokens).
inline constexpr int32_t kPageTokens = 16;

constexpr int32_t pages_for(int32_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

// The place of `position`: page * kPageTokens + offset.
inline int32_t slot_of(std::span<const int32_t> pages, int32_t position) {
  return pages[static_cast<size_t>(position / kPageTokens)] * kPageTokens + position % kPageTokens;
}

}  // namespace gallop::cache
