// How a command ends: its results written to stdout, exit code 0; or 1 with the message on stderr.
#pragma once

#include <cstdio>
#include <iostream>

#include "base/result.h"

namespace gallop::cli {

inline int report(const Result<void>& result) {
  if (result.ok()) return 0;
  std::fprintf(stderr, "gallop: %s\n", result.error().message.c_str());
  return 1;
}

// Results are on their way only when stdout took them all.
inline Result<void> flush_output() {
  std::cout.flush();
  if (!std::cout) return Error{"the results could not be written to stdout"};
  return {};
}

}  // namespace gallop::cli
