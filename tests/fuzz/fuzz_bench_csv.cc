// A file of measured speeds: what is read as rows can be drawn, or is refused.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "cli/bench_csv.h"
#include "cli/bench_plot.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto rows = gallop::cli::parse_rows(text);
  if (!rows.ok()) return 0;
  const gallop::Result<std::string> picture = gallop::cli::plot_rows(*rows);
  if (picture.ok()) {
    CHECK(picture->ends_with("</svg>\n"));
    CHECK(picture->find("nan") == std::string::npos || text.find("nan") != std::string_view::npos);
  }
  return 0;
}
