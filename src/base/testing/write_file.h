// Files that tests make.
#pragma once

#include <filesystem>
#include <fstream>
#include <string_view>

namespace gallop {

// Replaces the file's content; false when a byte could not be written.
[[nodiscard]] inline bool write_file(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  return static_cast<bool>(out);
}

}  // namespace gallop
