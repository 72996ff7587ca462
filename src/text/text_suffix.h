// How much of a text's end may still grow into a marker.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace gallop::text {

// Length of the longest suffix of `text` that is a proper prefix of `marker`.
inline size_t partial_suffix(std::string_view text, std::string_view marker) {
  for (size_t length = std::min(text.size(), marker.size() - 1); length > 0; --length) {
    if (text.ends_with(marker.substr(0, length))) return length;
  }
  return 0;
}

}  // namespace gallop::text
