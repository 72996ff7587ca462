// The version, from CMake's project line.
#pragma once

#include <string>

namespace gallop::cli {

// "gallop 0.1.0"
inline std::string version_line() { return "gallop " GALLOP_VERSION; }

}  // namespace gallop::cli
