#include "base/machine.h"

#include <algorithm>
#include <cctype>
#include <fstream>

#include <fmt/format.h>
#include <unistd.h>

namespace gallop {
namespace {

// The number behind `key` in /proc/meminfo, in bytes; 0 without one. Source: proc(5).
int64_t meminfo_bytes(const char* key) {
  std::ifstream meminfo("/proc/meminfo");
  int64_t kib = 0;
  for (std::string word; meminfo >> word;) {
    if (word == key && meminfo >> kib) return kib * 1024;
  }
  return 0;
}

int64_t pages_bytes(int name) {
  const long pages = ::sysconf(name);
  return pages > 0 ? static_cast<int64_t>(pages) * ::sysconf(_SC_PAGESIZE) : 0;
}

// "32768K" > 33554432; 0 for anything else.
int64_t cache_bytes(const std::string& text) {
  int64_t value = 0;
  size_t i = 0;
  for (; i < text.size() && i < 9 && std::isdigit(static_cast<unsigned char>(text[i])) != 0; ++i) {
    value = value * 10 + (text[i] - '0');
  }
  if (i < text.size() && text[i] == 'K') value <<= 10;
  if (i < text.size() && text[i] == 'M') value <<= 20;
  return value;
}

}  // namespace

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(':');
    if (!line.starts_with("model name") || colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

int64_t largest_cache_bytes() {
  int64_t largest = 0;
  for (int index = 0; index < 8; ++index) {  // Linux numbers them from 0; there are about five
    std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/size", index));
    std::string text;
    if (!(file >> text)) break;
    largest = std::max(largest, cache_bytes(text));
  }
  return largest;
}

int64_t total_memory_bytes() { return pages_bytes(_SC_PHYS_PAGES); }

int64_t available_memory_bytes() {
  const int64_t available = meminfo_bytes("MemAvailable:");
  return available > 0 ? available : pages_bytes(_SC_AVPHYS_PAGES);
}

}  // namespace gallop
