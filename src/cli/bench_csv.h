// The file of measured speeds: one row each, appended, newest last; columns date, commit, chip,
// measure, config, value, unit, floor, ratio. The ratio is 1 at the floor and grows with the
// distance from it: value / floor of times, floor / value of rates.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace gallop::cli {

struct BenchRow {
  std::string date;     // 2026-11-25
  std::string commit;   // of the build
  std::string chip;     // "amd-epyc-9354"
  std::string measure;  // "prefill", "plain_step", ...
  std::string config;   // "batch=1 ctx=1k": key=value, separated by blanks
  double value = 0;
  std::string unit;             // "ms" for times; "tokens/s" for rates
  std::optional<double> floor;  // nothing where there is none

  // Nothing without a floor.
  std::optional<double> ratio() const;
};

// Letters, digits and single dashes: "AMD EPYC 9354" > "amd-epyc-9354"; "cpu" for nothing.
std::string chip_slug(std::string_view name);

// Multiples of 1024 as "2k"; other numbers as they are.
std::string short_count(int64_t count);

// Today (UTC), and the commit of the checkout when this program was configured.
std::string today();
std::string build_commit();

// Whether rows could be appended: there is no such file yet, an empty one, or one with the header
// line, in a place that may be written.
Result<void> check_rows_file(const std::filesystem::path& path);

// Makes the file with its header line, or appends to one that begins with it. Several processes may
// append to one file.
Result<void> append_rows(const std::filesystem::path& path, const std::vector<BenchRow>& rows);

// The text of such a file; errors name the line and the field.
Result<std::vector<BenchRow>> parse_rows(std::string_view text);

// Errors begin with the path.
Result<std::vector<BenchRow>> read_rows(const std::filesystem::path& path);

}  // namespace gallop::cli
