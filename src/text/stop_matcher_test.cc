#include "text/stop_matcher.h"

#include <random>

#include <gtest/gtest.h>

namespace gallop::text {
namespace {

struct Outcome {
  std::string text;
  std::string stop_string;

  bool operator==(const Outcome&) const = default;
};

Outcome run(std::string_view text, const std::vector<std::string>& stops, size_t step) {
  StopMatcher matcher(stops);
  Outcome outcome;
  for (size_t at = 0; at < text.size(); at += step) {
    const StopMatcher::Match match = matcher.append(text.substr(at, step));
    outcome.text += match.text;
    if (match.stopped) {
      outcome.stop_string = match.stop_string;
      return outcome;
    }
  }
  outcome.text += matcher.finish();
  return outcome;
}

TEST(StopMatcher, FirstCompleteStopWinsThenTheLongest) {
  EXPECT_EQ(run("one two", {}, 3), (Outcome{"one two", ""}));
  EXPECT_EQ(run("one two", {"tw"}, 100), (Outcome{"one ", "tw"}));
  EXPECT_EQ(run("abcd", {"abcd", "bc"}, 100), (Outcome{"a", "bc"}));
  EXPECT_EQ(run("abcd", {"cd", "bcd"}, 100), (Outcome{"a", "bcd"}));
  EXPECT_EQ(run("aab", {"ab"}, 1), (Outcome{"a", "ab"}));
  EXPECT_EQ(run("a\n\n", {"\n\n\n"}, 1), (Outcome{"a\n\n", ""}));
}

TEST(StopMatcher, HoldsBackOnlyWhatMayStillMatch) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.append("text E").text, "text ");
  EXPECT_EQ(matcher.append("N").text, "");
  EXPECT_EQ(matcher.append("x").text, "ENx");
  EXPECT_EQ(matcher.append("EN").text, "");
  EXPECT_EQ(matcher.finish(), "EN");
}

TEST(StopMatcher, SplitsDoNotMatter) {
  std::mt19937 random(3);
  const auto word = [&random](int most) {
    std::string text;
    const int length = std::uniform_int_distribution<int>(1, most)(random);
    for (int i = 0; i < length; ++i) text += static_cast<char>('a' + random() % 3);
    return text;
  };
  for (int round = 0; round < 2000; ++round) {
    const std::string text = word(30);
    const std::vector<std::string> stops = {word(5), word(5), word(4)};
    const Outcome whole = run(text, stops, text.size());
    for (size_t step = 1; step < 5; ++step) EXPECT_EQ(run(text, stops, step), whole) << text;
  }
}

}  // namespace
}  // namespace gallop::text
