// What the operating system says about this machine: its processor, caches and memory. Reads /proc
// and /sys at each call; what they do not tell is 0 or empty.
#pragma once

#include <cstdint>
#include <string>

namespace gallop {

// "AMD EPYC", as the processor names itself.
std::string cpu_name();

// Bytes of the largest cache of the first core.
int64_t largest_cache_bytes();

int64_t total_memory_bytes();

// Bytes that the system could hand out now, page cache included.
int64_t available_memory_bytes();

}  // namespace gallop
