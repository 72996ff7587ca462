// How a command ends: 0, or 1 with the message on stderr.
#pragma once

#include <cstdio>

#include "base/result.h"

namespace gallop::cli {

inline int report(const Result<void>& result) {
  if (result.ok()) return 0;
  std::fprintf(stderr, "gallop: %s\n", result.error().message.c_str());
  return 1;
}

}  // namespace gallop::cli
