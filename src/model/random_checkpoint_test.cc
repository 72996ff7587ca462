#include "model/random_checkpoint.h"

#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/float_types.h"
#include "base/testing/write_file.h"
#include "codec/e4m3.h"
#include "codec/nvfp4.h"
#include "model/random_values.h"
#include "model/shapes.h"
#include "model/weight_loader.h"

namespace gallop::model {
namespace {

namespace fs = std::filesystem;
using checkpoint::HfCheckpoint;
using checkpoint::StoredTensor;

class RandomCheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) / fmt::format("{}-{}", info->name(), ::getpid());
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path write(const std::string& name, const RandomCheckpointOptions& options) {
    const fs::path path = root_ / name;
    const auto directory = NewDirectory::make(path);
    EXPECT_TRUE(directory.ok()) << directory.error().message;
    const auto written = write_random_model(*directory, *named_shape("qwen3.5-tiny"), options);
    EXPECT_TRUE(written.ok()) << written.error().message;
    return path;
  }

  fs::path root_;
};

HfCheckpoint open(const fs::path& path) {
  auto opened = HfCheckpoint::open(path);
  EXPECT_TRUE(opened.ok()) << opened.error().message;
  return std::move(opened).value();
}

bool same_bytes(const HfCheckpoint& a, const HfCheckpoint& b) {
  if (a.names() != b.names()) return false;
  for (const std::string_view name : a.names()) {
    const auto left = a.find(name).bytes;
    const auto right = b.find(name).bytes;
    if (!std::equal(left.begin(), left.end(), right.begin(), right.end())) return false;
  }
  return true;
}

TEST_F(RandomCheckpointTest, LoadsAndItsDrafterToo) {
  const fs::path path = write("target", {.seed = 1});
  const auto target = load_model(path);
  ASSERT_TRUE(target.ok()) << target.error().message;
  const auto directory = NewDirectory::make(root_ / "drafter");
  ASSERT_TRUE(directory.ok()) << directory.error().message;
  const auto written = write_random_drafter(*directory, drafter_shape(target->config), {.seed = 1});
  ASSERT_TRUE(written.ok()) << written.error().message;
  const auto drafter = load_drafter(root_ / "drafter", target->config);
  ASSERT_TRUE(drafter.ok()) << drafter.error().message;
}

TEST_F(RandomCheckpointTest, SeedsDecideTheBytesAndThreadsDoNot) {
  for (const RandomFormat format : {RandomFormat::kBF16, RandomFormat::kNvfp4}) {
    const std::string name = format == RandomFormat::kBF16 ? "a" : "b";
    const HfCheckpoint one = open(write(name + "1", {.format = format, .seed = 7, .threads = 1}));
    const HfCheckpoint three = open(write(name + "3", {.format = format, .seed = 7, .threads = 3}));
    const HfCheckpoint other = open(write(name + "x", {.format = format, .seed = 8, .threads = 1}));
    EXPECT_TRUE(same_bytes(one, three));
    EXPECT_FALSE(same_bytes(one, other));
  }
}

// Codes of E2M1 are at most 2 apart, block scales are rounded by at most 1/16: a value is within
// one block scale of what was encoded, which BF16 holds to 2^-9 of it.
TEST_F(RandomCheckpointTest, PackedValuesAreThoseOfTheBf16Twin) {
  const HfCheckpoint plain = open(write("plain", {.seed = 5}));
  const HfCheckpoint packed = open(write("packed", {.format = RandomFormat::kNvfp4, .seed = 5}));
  int compared = 0;
  for (const std::string_view name : plain.names()) {
    const StoredTensor scales = packed.find(std::string(name) + "_scale");
    const StoredTensor from = plain.find(name);
    if (scales.info == nullptr) {
      EXPECT_EQ(packed.find(name).info->shape, from.info->shape) << name;
      continue;
    }
    const auto k = static_cast<size_t>(from.info->shape[1]);
    float global = 0;
    std::memcpy(&global, packed.find(std::string(name) + "_scale_2").bytes.data(), sizeof(global));
    std::vector<float> values(k);
    const std::span<const uint8_t> codes = packed.find(name).bytes;
    codec::decode_nvfp4_row(codes.first(k / 2), scales.bytes.first(k / 16), global, values);
    for (size_t i = 0; i < k; ++i, ++compared) {
      uint16_t bits = 0;
      std::memcpy(&bits, &from.bytes[2 * i], sizeof(bits));
      const float wanted = bf16_to_f32(bits);
      const float scale = codec::decode_e4m3(scales.bytes[i / 16]) * global;
      EXPECT_NEAR(values[i], wanted, scale + std::abs(wanted) * 0x1p-9f) << name << " " << i;
    }
  }
  EXPECT_GT(compared, 1000);
}

TEST_F(RandomCheckpointTest, RefusesWhatItCannotWrite) {
  const fs::path used = root_ / "used";
  fs::create_directories(used);
  ASSERT_TRUE(write_file(used / "notes.txt", "mine"));
  const auto error_of = [&](const fs::path& path, const Json& config, RandomFormat format) {
    const auto directory = NewDirectory::make(path);
    if (!directory.ok()) return directory.error().message;
    const auto written = write_random_model(*directory, config, {.format = format});
    return written.ok() ? std::string("no error") : written.error().message;
  };
  const Json tiny = *named_shape("qwen3.5-tiny");
  EXPECT_NE(error_of(used, tiny, RandomFormat::kBF16).find("it holds files"), std::string::npos);
  EXPECT_TRUE(fs::exists(used / "notes.txt"));
  EXPECT_NE(error_of(used / "notes.txt" / "x", tiny, RandomFormat::kBF16).find("notes.txt"),
            std::string::npos);
  EXPECT_NE(error_of(root_ / "new", Json::array(), RandomFormat::kBF16).find("JSON object"),
            std::string::npos);
  Json odd = tiny;
  odd["intermediate_size"] = 24;
  EXPECT_NE(error_of(root_ / "new", odd, RandomFormat::kNvfp4).find("down_proj.weight has 24"),
            std::string::npos);
  Json huge = tiny;
  huge["hidden_size"] = 1 << 20;
  huge["intermediate_size"] = 1 << 20;
  huge["vocab_size"] = 1 << 24;
  EXPECT_NE(error_of(root_ / "new", huge, RandomFormat::kBF16).find("the disk has"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(root_ / "new"));
}

// Also where a part of the way was made before the error; never what somebody put something into.
TEST_F(RandomCheckpointTest, DirectoriesThatStayEmptyAreRemovedAgain) {
  EXPECT_FALSE(NewDirectory::make(root_ / "a" / std::string(300, 'x') / "b").ok());
  EXPECT_TRUE(NewDirectory::make(root_ / "a" / "b" / "c").ok());
  EXPECT_FALSE(fs::exists(root_ / "a"));
  {
    const auto made = NewDirectory::make(root_ / "a" / "b" / "c");
    ASSERT_TRUE(made.ok());
    ASSERT_TRUE(write_file(root_ / "a" / "notes.txt", "mine"));
  }
  EXPECT_FALSE(fs::exists(root_ / "a" / "b"));
  EXPECT_TRUE(fs::exists(root_ / "a" / "notes.txt"));
}

TEST(RandomValues, PiecesAreOneStreamOfTheRightMoments) {
  const uint64_t key = random_key(3, "a");
  EXPECT_NE(key, random_key(3, "b"));
  EXPECT_NE(key, random_key(4, "a"));
  std::vector<float> whole(100'000);
  random_values(key, 0, {.a = 2, .b = 3}, whole);
  std::vector<float> piece(10);
  random_values(key, 500, {.a = 2, .b = 3}, piece);
  EXPECT_TRUE(std::equal(piece.begin(), piece.end(), whole.begin() + 500));
  double sum = 0;
  double squares = 0;
  for (const float value : whole) {
    sum += value;
    squares += (value - 2.0) * (value - 2.0);
    ASSERT_LE(std::abs(value - 2), 3 * 3.4642f);
  }
  const auto count = static_cast<double>(whole.size());
  // Five standard errors: 3 / sqrt(n) of the mean, 3 sqrt(2 / n) / 2 of the deviation at most.
  EXPECT_NEAR(sum / count, 2, 5 * 3 / std::sqrt(count));
  EXPECT_NEAR(std::sqrt(squares / count), 3, 5 * 3 / std::sqrt(2 * count));
  random_values(key, 0, {.kind = Distribution::Kind::kUniform, .a = -1, .b = 1}, whole);
  for (const float value : whole) ASSERT_TRUE(value >= -1 && value < 1);
}

}  // namespace
}  // namespace gallop::model
