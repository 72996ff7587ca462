// How a command ends: its results written to stdout, exit code 0; or 1 with the message on stderr.
#pragma once

#include <algorithm>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/result.h"

namespace gallop::cli {

// Control characters, which names in a file may hold, are shown, not sent to the terminal.
inline std::string printable(std::string_view message) {
  std::string text;
  for (const char c : message) {
    const bool control = (c >= 0 && c < ' ' && c != '\n' && c != '\t') || c == '\x7f';
    text += control ? fmt::format("\\x{:02x}", c) : std::string(1, c);
  }
  return text;
}

inline int report(const Result<void>& result) {
  if (result.ok()) return 0;
  std::cerr << "gallop: " << printable(result.error().message) << '\n';
  return 1;
}

// Results are on their way only when stdout took them all.
inline Result<void> flush_output() {
  std::cout.flush();
  if (!std::cout) return Error{"the results could not be written to stdout"};
  return {};
}

// What a batch says at its end: {} when no line failed, else an Error that names the first ones.
inline Result<void> failed_lines(const std::string& path, const std::vector<size_t>& failed,
                                 size_t lines) {
  constexpr size_t kMaxNamed = 20;
  if (failed.empty()) return {};
  const auto end = failed.begin() + static_cast<ptrdiff_t>(std::min(failed.size(), kMaxNamed));
  return Error{fmt::format("{}: {} of {} lines failed: {}{}", path, failed.size(), lines,
                           fmt::join(failed.begin(), end, ", "),
                           end == failed.end() ? "" : ", ...")};
}

}  // namespace gallop::cli
