#include "cli/bench_plot.h"

#include <gtest/gtest.h>

namespace gallop::cli {
namespace {

BenchRow row(const std::string& measure, const std::string& config, double value, double floor) {
  return {.date = "2026-11-25",
          .commit = "abc1234",
          .chip = "cpu",
          .measure = measure,
          .config = config,
          .value = value,
          .unit = "ms",
          .floor = floor};
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(BenchPlot, ABarAndAFloorForEachConfigTheNewestCounts) {
  const auto svg = plot_rows({row("step", "ctx=1", 5, 4), row("step", "ctx=2", 8, 4),
                              row("step", "ctx=1", 10, 4), row("other", "", 1, 1)});
  ASSERT_TRUE(svg.ok()) << svg.error().message;
  EXPECT_EQ(count(*svg, "class=\"head\""), 2u);
  EXPECT_EQ(count(*svg, "class=\"value\""), 4u);  // three bars and the legend's
  EXPECT_EQ(count(*svg, "class=\"floor\""), 4u);
  EXPECT_EQ(count(*svg, "(2.50x floor)"), 1u);
  EXPECT_EQ(count(*svg, "(1.25x floor)"), 0u);
}

TEST(BenchPlot, NamesCannotLeaveTheirPlace) {
  const auto svg = plot_rows({row("<script>", "a&b\x01\xff", 1, 1)});
  ASSERT_TRUE(svg.ok());
  EXPECT_EQ(svg->find("<script>"), std::string::npos);
  EXPECT_NE(svg->find("a&amp;b??"), std::string::npos);
}

TEST(BenchPlot, OddNumbersAreDrawn) {
  for (const double value : {0.0, 1e-320, 1e-9, 1e300}) {
    const auto svg = plot_rows({row("step", "x", value, value)});
    ASSERT_TRUE(svg.ok());
    EXPECT_EQ(svg->find("nan"), std::string::npos) << value;
    EXPECT_EQ(svg->find("inf"), std::string::npos) << value;
  }
}

TEST(BenchPlot, NothingOrTooMuchIsAnError) {
  EXPECT_FALSE(plot_rows({}).ok());
  std::vector<BenchRow> many;
  for (int i = 0; i < 501; ++i) many.push_back(row("step", std::to_string(i), 1, 1));
  EXPECT_FALSE(plot_rows(many).ok());
}

}  // namespace
}  // namespace gallop::cli
