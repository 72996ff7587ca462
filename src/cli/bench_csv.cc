#include "cli/bench_csv.h"

#include <array>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/numbers.h"

namespace gallop::cli {
namespace {

constexpr std::string_view kHeader = "date,commit,chip,measure,config,value,unit,floor,ratio";
constexpr size_t kColumns = 9;
constexpr size_t kMaxFileBytes = 64 << 20;

// Four digits after the first that counts, without an exponent for the sizes there are.
std::string number_text(double value) { return fmt::format("{:.5g}", value); }

std::string optional_text(const std::optional<double>& value) {
  return value ? number_text(*value) : "";
}

std::string line_of(const BenchRow& row) {
  return fmt::format("{},{},{},{},{},{},{},{},{}\n", row.date, row.commit, row.chip, row.measure,
                     row.config, number_text(row.value), row.unit, optional_text(row.floor),
                     optional_text(row.ratio()));
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == text.size()) return parts;
    begin = end + 1;
  }
}

// A finite number of 0 or more.
std::optional<double> amount(const std::string& text) {
  const std::optional<double> value = finite_number(text);
  return value && *value >= 0 ? value : std::nullopt;
}

// Empty, or an amount.
Result<std::optional<double>> optional_amount(const char* name, const std::string& text) {
  if (text.empty()) return std::optional<double>();
  const std::optional<double> value = amount(text);
  if (value) return value;
  return Error{fmt::format("{} must be empty or a number of 0 or more, found '{}'", name, text)};
}

// A day that there is, as today() writes it.
bool is_date(const std::string& text) {
  std::tm day = {};
  if (::strptime(text.c_str(), "%Y-%m-%d", &day) == nullptr) return false;
  const std::chrono::year_month_day date(std::chrono::year(day.tm_year + 1900),
                                         std::chrono::month(static_cast<unsigned>(day.tm_mon + 1)),
                                         std::chrono::day(static_cast<unsigned>(day.tm_mday)));
  return date.ok() && text == fmt::format("{:%Y-%m-%d}", day);
}

Result<BenchRow> parse_row(const std::string& line) {
  const std::vector<std::string> fields = split(line, ',');
  if (fields.size() != kColumns) {
    return Error{fmt::format("{} fields, expected {}", fields.size(), kColumns)};
  }
  if (!is_date(fields[0])) {
    return Error{fmt::format("date must be a day as in 2026-01-31, found '{}'", fields[0])};
  }
  BenchRow row{.date = fields[0],
               .commit = fields[1],
               .chip = fields[2],
               .measure = fields[3],
               .config = fields[4],
               .unit = fields[6],
               .floor = {}};
  const std::optional<double> value = amount(fields[5]);
  if (!value) {
    return Error{fmt::format("value must be a number of 0 or more, found '{}'", fields[5])};
  }
  row.value = *value;
  ASSIGN_OR_RETURN(row.floor, optional_amount("floor", fields[7]));
  const auto ratio = optional_amount("ratio", fields[8]);  // of value and floor: not kept
  return ratio.ok() ? Result<BenchRow>(std::move(row)) : ratio.error();
}

// An empty file becomes one with a header.
Result<void> check_header(const std::filesystem::path& path, std::string_view text) {
  const std::string_view first = text.substr(0, text.find('\n'));
  if (text.empty() || first == kHeader) return {};
  return Error{fmt::format("{}: line 1 must be '{}', found '{}'", path.string(), kHeader, first),
               ErrorCode::kInvalidInput, path.string()};
}

}  // namespace

std::optional<double> BenchRow::ratio() const {
  if (!floor) return std::nullopt;
  const bool rate = unit.ends_with("/s");
  const double above = rate ? *floor : value;
  const double below = rate ? value : *floor;
  return below > 0 ? std::optional(above / below) : std::nullopt;
}

std::string chip_slug(std::string_view name) {
  std::string slug;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 && byte < 0x80) {
      slug += static_cast<char>(std::tolower(byte));
    } else if (!slug.empty() && slug.back() != '-') {
      slug += '-';
    }
  }
  if (!slug.empty() && slug.back() == '-') slug.pop_back();
  return slug.empty() ? "cpu" : slug;
}

std::string short_count(int64_t count) {
  return count > 0 && count % 1024 == 0 ? fmt::format("{}k", count / 1024)
                                        : fmt::format("{}", count);
}

std::string today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc = {};
  if (::gmtime_r(&now, &utc) == nullptr) return "";
  std::array<char, 16> text = {};
  std::strftime(text.data(), text.size(), "%Y-%m-%d", &utc);
  return text.data();
}

std::string build_commit() { return GALLOP_COMMIT; }

Result<void> check_rows_file(const std::filesystem::path& path) {
  const bool exists = file_exists(path);
  const std::filesystem::path place = exists ? path : path.parent_path() / ".";
  if (::access(place.c_str(), W_OK) != 0) {
    return Error{fmt::format("{}: cannot be written: {}", path.string(), std::strerror(errno)),
                 ErrorCode::kInvalidInput, path.string()};
  }
  if (!exists) return {};
  ASSIGN_OR_RETURN(const std::string text, read_file(path, kMaxFileBytes));
  return check_header(path, text);
}

Result<void> append_rows(const std::filesystem::path& path, const std::vector<BenchRow>& rows) {
  return append_to_file(path, kMaxFileBytes, [&](const std::string& text) -> Result<std::string> {
    RETURN_IF_ERROR(check_header(path, text));
    std::string added;
    if (text.empty()) added = std::string(kHeader) + "\n";
    if (!text.empty() && text.back() != '\n') added = "\n";
    for (const BenchRow& row : rows) added += line_of(row);
    return added;
  });
}

Result<std::vector<BenchRow>> parse_rows(std::string_view text) {
  const std::vector<std::string> lines = split(text, '\n');
  if (lines.front() != kHeader) {
    return Error{fmt::format("line 1: expected '{}', found '{}'", kHeader, lines.front())};
  }
  std::vector<BenchRow> rows;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    const Result<BenchRow> row = parse_row(lines[i]);
    if (!row.ok()) return Error{fmt::format("line {}: {}", i + 1, row.error().message)};
    rows.push_back(*row);
  }
  return rows;
}

Result<std::vector<BenchRow>> read_rows(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path, kMaxFileBytes));
  Result<std::vector<BenchRow>> rows = parse_rows(text);
  if (rows.ok()) return rows;
  return Error{path.string() + ": " + rows.error().message, rows.error().code, path.string()};
}

}  // namespace gallop::cli
