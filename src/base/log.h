// One line per event on stderr; stdout belongs to results. spdlog stays behind log.cc.
#pragma once

#include <string_view>

namespace gallop {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Lines below `level` are dropped; kInfo until the first call. Call it before threads start.
void set_log_level(LogLevel level);

// Safe from any thread. Callers format with fmt.
void log(LogLevel level, std::string_view line);

inline void log_debug(std::string_view line) { log(LogLevel::kDebug, line); }
inline void log_info(std::string_view line) { log(LogLevel::kInfo, line); }
inline void log_warning(std::string_view line) { log(LogLevel::kWarning, line); }
inline void log_error(std::string_view line) { log(LogLevel::kError, line); }

}  // namespace gallop
