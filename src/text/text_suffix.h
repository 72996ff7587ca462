// Looking for markers in a text whose end is still to come.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

namespace gallop::text {

// Length of the longest suffix of `text` that is a proper prefix of `marker`.
inline size_t partial_suffix(std::string_view text, std::string_view marker) {
  for (size_t length = std::min(text.size(), marker.size() - 1); length > 0; --length) {
    if (text.ends_with(marker.substr(0, length))) return length;
  }
  return 0;
}

struct FoundMarker {
  size_t before;            // bytes in front of it; without one, those that cannot begin a marker
  std::string_view marker;  // empty: none
};

// The first of `markers` in `text`.
inline FoundMarker find_marker(std::string_view text, std::span<const std::string_view> markers) {
  FoundMarker found{text.size(), {}};
  size_t keep = 0;
  for (const std::string_view marker : markers) {
    const size_t position = text.find(marker);
    if (position < found.before) found = {position, marker};
    keep = std::max(keep, partial_suffix(text, marker));
  }
  if (found.marker.empty()) found.before -= keep;
  return found;
}

}  // namespace gallop::text
