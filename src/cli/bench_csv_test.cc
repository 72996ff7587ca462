#include "cli/bench_csv.h"

#include <atomic>
#include <csignal>
#include <map>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/testing/write_file.h"

namespace gallop::cli {
namespace {

namespace fs = std::filesystem;

class BenchCsvTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove(path_); }
  fs::path path_ = fs::path(testing::TempDir()) / fmt::format("bench-{}.csv", ::getpid());
};

BenchRow row(const std::string& measure, const std::string& unit, double value,
             std::optional<double> floor) {
  return {.date = "2026-11-25",
          .commit = "abc1234",
          .chip = "cpu",
          .measure = measure,
          .config = "batch=1 ctx=1k",
          .value = value,
          .unit = unit,
          .floor = floor};
}

TEST_F(BenchCsvTest, RowsAreAppendedAndReadBack) {
  ASSERT_TRUE(append_rows(path_, {row("plain_step", "ms", 5, 4)}).ok());
  ASSERT_TRUE(
      append_rows(path_, {row("decode", "tokens/s", 200, 250), row("x", "ms", 1, {})}).ok());
  EXPECT_EQ(*read_file(path_, 1000),
            "date,commit,chip,measure,config,value,unit,floor,ratio\n"
            "2026-11-25,abc1234,cpu,plain_step,batch=1 ctx=1k,5,ms,4,1.25\n"
            "2026-11-25,abc1234,cpu,decode,batch=1 ctx=1k,200,tokens/s,250,1.25\n"
            "2026-11-25,abc1234,cpu,x,batch=1 ctx=1k,1,ms,,\n");
  const auto rows = read_rows(path_);
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ((*rows)[1].value, 200);
  EXPECT_EQ((*rows)[1].floor, 250);
  EXPECT_EQ((*rows)[1].ratio(), 1.25);
  EXPECT_FALSE((*rows)[2].floor.has_value());
  EXPECT_FALSE((*rows)[2].ratio().has_value());
}

TEST_F(BenchCsvTest, OtherFilesAreLeftAlone) {
  ASSERT_TRUE(write_file(path_, "something else\n"));
  const Result<void> refused = append_rows(path_, {row("x", "ms", 1, {})});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("line 1"), std::string::npos);
  EXPECT_EQ(*read_file(path_, 100), "something else\n");
}

TEST_F(BenchCsvTest, RowsOfManyWritersAreWhole) {
  constexpr int kWriters = 8;
  constexpr int kRounds = 50;
  std::vector<std::thread> writers;
  std::atomic<int> failed = 0;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (int round = 0; round < kRounds; ++round) {
        const std::string measure = fmt::format("writer{}", writer);
        const double value = round;
        const auto done = append_rows(path_, {row(measure, "a", value, {}), row("x", "b", 1, {})});
        if (!done.ok()) ++failed;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(failed, 0);
  const auto rows = read_rows(path_);
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  ASSERT_EQ(rows->size(), size_t{2 * kWriters * kRounds});
  std::map<std::string, int> next;
  for (size_t i = 0; i < rows->size(); i += 2) {
    EXPECT_EQ((*rows)[i].value, next[(*rows)[i].measure]++);
    EXPECT_EQ((*rows)[i + 1].unit, "b");
  }
}

TEST_F(BenchCsvTest, AFailedAppendTakesItsRowsBack) {
  ASSERT_TRUE(append_rows(path_, {row("x", "ms", 1, {})}).ok());
  const std::string before = *read_file(path_, 1000);
  rlimit old = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {.rlim_cur = before.size() + 60, .rlim_max = old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto refused = append_rows(path_, {row("y", "ms", 1, {}), row("z", "ms", 1, {})});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find(path_.string()), std::string::npos);
  EXPECT_EQ(*read_file(path_, 1000), before);
}

TEST_F(BenchCsvTest, ErrorsNameTheLine) {
  const std::string header = "date,commit,chip,measure,config,value,unit,floor,ratio\n";
  const auto error_of = [&](const std::string& text) {
    const auto rows = parse_rows(text);
    return rows.ok() ? std::string("no error") : rows.error().message;
  };
  EXPECT_EQ(error_of(header + "2026-11-25,c,h,m,f,1,ms,,\n"), "no error");
  EXPECT_NE(error_of("").find("line 1"), std::string::npos);
  EXPECT_NE(error_of(header + "2026-11-25,c,h,m,f,1,ms\n").find("line 2: 7 fields"),
            std::string::npos);
  EXPECT_NE(error_of(header + "\n2026-11-25,c,h,m,f,x,ms,,\n").find("line 3: value"),
            std::string::npos);
  EXPECT_NE(error_of(header + "2026-11-25,c,h,m,f,-1,ms,,\n").find("'-1'"), std::string::npos);
  EXPECT_NE(error_of(header + "2026-11-25,c,h,m,f,1,ms,nan,\n").find("floor"), std::string::npos);
  EXPECT_NE(error_of(header + "2026-11-25,c,h,m,f,1,ms,1,zzz\n").find("line 2: ratio"),
            std::string::npos);
  for (const char* date :
       {"", "notadate", "2026-02-30", "2026-1-31", "2026-01-311", " 026-01-31"}) {
    EXPECT_NE(error_of(fmt::format("{}{},c,h,m,f,1,ms,,\n", header, date)).find("line 2: date"),
              std::string::npos)
        << date;
  }
  ASSERT_TRUE(write_file(path_, "x"));
  EXPECT_TRUE(read_rows(path_).error().message.starts_with(path_.string()));
}

TEST(BenchCsv, Slugs) {
  EXPECT_EQ(chip_slug("AMD EPYC 9354 (32-Core) "), "amd-epyc-9354-32-core");
  EXPECT_EQ(chip_slug("  "), "cpu");
  EXPECT_EQ(short_count(32768), "32k");
  EXPECT_EQ(short_count(500), "500");
  EXPECT_EQ(short_count(0), "0");
  EXPECT_EQ(today().size(), 10u);
}

}  // namespace
}  // namespace gallop::cli
