#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/float_types.h"
#include "base/json.h"
#include "base/thread_pool.h"

namespace gallop {
namespace {

TEST(ThreadPool, CoversEachItemOnceForEveryThreadCount) {
  for (int threads = 1; threads <= 4; ++threads) {
    ThreadPool pool(threads);
    for (int64_t count : {0, 1, 3, 64, 1001}) {
      std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
      for (int round = 0; round < 50; ++round) {
        pool.parallel_for(count, 4, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
        });
      }
      for (const auto& times : seen) EXPECT_EQ(times, 50) << threads << " threads, " << count;
    }
  }
}

TEST(Json, LimitsAndErrors) {
  EXPECT_EQ(parse_json("[1, {\"b\": 2, \"a\": 3}]")->dump(), "[1,{\"b\":2,\"a\":3}]");
  EXPECT_FALSE(parse_json("").ok());
  EXPECT_FALSE(parse_json("{} x").ok());
  EXPECT_FALSE(parse_json("\"\xff\"").ok());
  EXPECT_EQ((*parse_json("{\"a\":1,\"a\":2}"))["a"], 2);
  EXPECT_FALSE(parse_json(std::string(200, '[') + std::string(200, ']')).ok());
  std::string keys = "{";
  for (int i = 0; i < 5000; ++i) keys += (i ? "," : "") + ("\"" + std::to_string(i) + "\":0");
  const Result<Json> many = parse_json(keys + "}");
  ASSERT_FALSE(many.ok());
  EXPECT_EQ(many.error().message, "an object has more than 4096 keys");
  EXPECT_FALSE(parse_json("[1,2,3]", {.max_elements = 3}).ok());
  EXPECT_EQ(parse_json("[18446744073709551615,-9223372036854775808]")->dump(),
            "[18446744073709551615,-9223372036854775808]");
  EXPECT_EQ(parse_json("18446744073709551616").error().message,
            "the integer 18446744073709551616 needs more than 64 bits");
  EXPECT_EQ(*parse_json("1e30"), 1e30);
}

// Objects below the limit of keys, but so many that their lookups would take minutes.
TEST(Json, TheWorkOfAllKeysTogetherIsBounded) {
  std::string keys;
  for (int i = 0; i < 4096; ++i) keys += (i ? ",\"" : "\"") + std::to_string(i) + "\":0";
  const std::string object = "{" + keys + "}";
  EXPECT_TRUE(parse_json("[" + object + "," + object + "]").ok());
  std::string many = "[" + object;
  for (int i = 0; i < 480; ++i) many += "," + object;
  const Result<Json> refused = parse_json(many + "]");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("100000000 comparisons"), std::string::npos);
  // Three keys take 0 + 1 + 2 comparisons, of 64 bytes three times as much.
  EXPECT_TRUE(parse_json(R"({"a":0,"b":0,"c":0})", {.max_key_compares = 3}).ok());
  EXPECT_FALSE(parse_json(R"({"a":0,"b":0,"c":0})", {.max_key_compares = 2}).ok());
  const std::string key(64, 'k');
  const std::string two = "{\"" + key + "a\":0,\"" + key + "b\":0}";
  EXPECT_TRUE(parse_json(two, {.max_key_compares = 3}).ok());
  EXPECT_FALSE(parse_json(two, {.max_key_compares = 2}).ok());
}

TEST(File, MissingAndTooLargeNameThePath) {
  const Result<std::string> missing = read_file("/nonexistent/x", 10);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("/nonexistent/x"), std::string::npos);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(read_file(GALLOP_SOURCE_DIR "/CMakeLists.txt", 10).ok());
  EXPECT_FALSE(MappedFile::open(GALLOP_SOURCE_DIR).ok());
}

TEST(File, SavedContentIsReadBackAndReplaced) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / fmt::format("save-{}", ::getpid());
  for (const std::string& content : {std::string("one\0two", 7), std::string()}) {
    ASSERT_TRUE(save_file(path, content).ok());
    EXPECT_EQ(*read_file(path, 100), content);
  }
  EXPECT_EQ(save_file(path / "below", "x").error().message,
            (path / "below").string() + ": cannot create: Not a directory");
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  EXPECT_FALSE(save_file(path, "x").ok());
  std::filesystem::remove(path);
}

class FilePlaces : public testing::Test {
 protected:
  FilePlaces() { std::filesystem::create_directory(directory_); }
  ~FilePlaces() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_ =
      std::filesystem::path(testing::TempDir()) / fmt::format("places-{}", ::getpid());
};

TEST_F(FilePlaces, WhatIsNoRegularFileIsNeitherReadNorReplaced) {
  const std::filesystem::path pipe = directory_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_symlink(pipe, directory_ / "link");
  for (const std::filesystem::path& path : {pipe, directory_ / "link", directory_}) {
    for (const Result<void>& saved : {save_file(path, "x"), save_file(path, "")}) {
      ASSERT_FALSE(saved.ok()) << path;
      EXPECT_EQ(saved.error().message, path.string() + ": not a regular file");
    }
    EXPECT_FALSE(read_file(path, 100).ok());  // at once
  }
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  EXPECT_TRUE(std::filesystem::is_symlink(directory_ / "link"));
}

// To a file, to a place where none is yet, and through each other.
TEST_F(FilePlaces, LinksAreFollowed) {
  std::filesystem::create_directory(directory_ / "below");
  ASSERT_TRUE(save_file(directory_ / "old", "old").ok());
  std::filesystem::create_symlink("old", directory_ / "a");
  std::filesystem::create_symlink(directory_ / "below/new", directory_ / "b");
  std::filesystem::create_symlink("../b", directory_ / "below/c");
  ASSERT_TRUE(save_file(directory_ / "a", "1").ok());
  EXPECT_EQ(*read_file(directory_ / "old", 10), "1");
  for (const std::string name : {"b", "below/c"}) {
    ASSERT_TRUE(save_file(directory_ / name, name).ok());
    EXPECT_EQ(*read_file(directory_ / "below/new", 10), name);
  }
  for (const std::string name : {"a", "b", "below/c"}) {
    EXPECT_TRUE(std::filesystem::is_symlink(directory_ / name)) << name;
  }
  std::filesystem::create_symlink("loop", directory_ / "loop");
  EXPECT_FALSE(save_file(directory_ / "loop", "x").ok());
}

TEST_F(FilePlaces, AFailedWriteKeepsTheOldFileAlone) {
  ASSERT_TRUE(save_file(directory_ / "file", "old").ok());
  {
    auto file = ReplacingFile::create(directory_ / "file");
    ASSERT_TRUE(file.ok());
    // Beyond what a file may hold.
    const Result<void> written = file->write(std::vector<uint8_t>(8), INT64_MAX - 4);
    ASSERT_FALSE(written.ok());
    EXPECT_TRUE(
        written.error().message.starts_with((directory_ / "file: cannot write: ").string()));
  }
  EXPECT_EQ(*read_file(directory_ / "file", 10), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1);
}

// Through a link, too; files that were there stay, empty ones as well.
TEST_F(FilePlaces, AFailedAppendLeavesNoNewFile) {
  const auto fail = [](const std::string&) -> Result<std::string> { return Error{"no"}; };
  std::filesystem::create_symlink("new", directory_ / "link");
  EXPECT_EQ(append_to_file(directory_ / "new", 100, fail).error().message, "no");
  EXPECT_EQ(append_to_file(directory_ / "link", 100, fail).error().message, "no");
  EXPECT_FALSE(std::filesystem::exists(directory_ / "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(directory_ / "link"));
  for (const std::string content : {"", "old"}) {
    ASSERT_TRUE(save_file(directory_ / "new", content).ok());
    EXPECT_FALSE(append_to_file(directory_ / "link", 100, fail).ok());
    EXPECT_EQ(*read_file(directory_ / "new", 100), content);
  }
}

// The wait gives the other one time to open the file that is then removed.
TEST_F(FilePlaces, WhoWaitedForAFailedAppendMakesTheFile) {
  std::thread other;
  const Result<void> failed =
      append_to_file(directory_ / "file", 100, [&](const std::string&) -> Result<std::string> {
        other = std::thread([this] {
          EXPECT_TRUE(append_to_file(directory_ / "file", 100, [](const std::string& content) {
                        return Result<std::string>(content + "row");
                      }).ok());
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return Error{"no"};
      });
  other.join();
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(*read_file(directory_ / "file", 100), "row");
}

TEST(FloatTypes, EveryHalfAndBfloatRoundTrips) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float wide = bf16_to_f32(half);
    if (!std::isnan(wide)) {
      EXPECT_EQ(f32_to_bf16(wide), half);
    }
    const float widened = f16_to_f32(half);
    const int exponent = (half >> 10) & 31;
    const double mantissa = half & 1023;
    if (exponent == 31) continue;
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    EXPECT_EQ(widened, static_cast<float>((half & 0x8000) != 0 ? -magnitude : magnitude));
  }
  EXPECT_TRUE(std::isnan(f16_to_f32(0x7e00)));
  EXPECT_EQ(f16_to_f32(0xfc00), -std::numeric_limits<float>::infinity());
  EXPECT_EQ(f32_to_bf16(bf16_to_f32(0x3f80) * 1.00390625f), 0x3f80);  // tie goes to even
}

}  // namespace
}  // namespace gallop
