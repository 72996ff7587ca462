// Sizes and counts as people read them.
#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

namespace gallop::cli {

// "512 bytes", "1.5 MiB", "27.3 GiB".
inline std::string bytes_text(int64_t bytes) {
  const auto size = static_cast<double>(bytes);
  if (bytes >= 1 << 30) return fmt::format("{:.2f} GiB", size / (1 << 30));
  if (bytes >= 1 << 20) return fmt::format("{:.1f} MiB", size / (1 << 20));
  if (bytes >= 1 << 10) return fmt::format("{:.1f} KiB", size / (1 << 10));
  return fmt::format("{} bytes", bytes);
}

// "750", "3.2 thousand", "13.9 million", "26.9 billion".
inline std::string count_text(int64_t count) {
  const auto number = static_cast<double>(count);
  if (count >= 1'000'000'000) return fmt::format("{:.1f} billion", number / 1e9);
  if (count >= 1'000'000) return fmt::format("{:.1f} million", number / 1e6);
  if (count >= 1'000) return fmt::format("{:.1f} thousand", number / 1e3);
  return fmt::format("{}", count);
}

}  // namespace gallop::cli
