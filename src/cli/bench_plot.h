// Draws measured speeds as an SVG picture: a bar for each config, a mark at its floor, one panel
// with an axis of its own for each chip, measure and unit. Of rows that say the same thing again
// the last one counts.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/bench_csv.h"

namespace gallop::cli {

// A whole SVG document; an error when there is nothing to draw, or too much.
Result<std::string> plot_rows(const std::vector<BenchRow>& rows);

}  // namespace gallop::cli
