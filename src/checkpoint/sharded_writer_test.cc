#include "checkpoint/sharded_writer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/testing/write_file.h"
#include "checkpoint/hf_checkpoint.h"

namespace gallop::checkpoint {
namespace {

namespace fs = std::filesystem;

class ShardedWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::path(testing::TempDir()) / fmt::format("{}-{}", info->name(), ::getpid());
    fs::create_directories(directory_);
    ASSERT_TRUE(write_file(directory_ / "config.json", "{}"));
  }
  void TearDown() override { fs::remove_all(directory_); }

  // Four tensors of 4, 8, 12 and 16 bytes.
  static std::vector<TensorSpec> specs() {
    std::vector<TensorSpec> specs;
    for (int64_t i = 1; i <= 4; ++i) {
      specs.push_back({.name = fmt::format("t{}", i), .dtype = DType::kF32, .shape = {i}});
    }
    return specs;
  }
  static Result<void> fill(ShardedWriter& writer) {
    for (const TensorSpec& spec : specs()) {
      for (int64_t i = 0; i < spec.shape[0]; ++i) {
        const std::vector<uint8_t> piece(4, static_cast<uint8_t>(spec.shape[0]));
        RETURN_IF_ERROR(writer.append(spec.name, piece));
      }
    }
    return {};
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  fs::path directory_;
};

TEST_F(ShardedWriterTest, WhatFitsInOneIsOneFile) {
  auto writer = ShardedWriter::create(directory_, specs(), 40);
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(writer->bytes(), 40u);
  ASSERT_TRUE(fill(*writer).ok());
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_EQ(files(), (std::vector<std::string>{"config.json", "model.safetensors"}));
}

// At most 20 bytes: t1 and t2, t3, t4. The reader checks the index against the shards.
TEST_F(ShardedWriterTest, ShardsAreReadBackThroughTheIndex) {
  {
    auto writer = ShardedWriter::create(directory_, specs(), 20);
    ASSERT_TRUE(writer.ok());
    EXPECT_EQ(writer->shards(), 3u);
    ASSERT_TRUE(fill(*writer).ok());
    ASSERT_TRUE(writer->finish().ok());
  }
  const auto read = HfCheckpoint::open(directory_);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->files().size(), 3u);
  EXPECT_EQ(read->find("t2").file->filename(), "model-00001-of-00003.safetensors");
  for (const TensorSpec& spec : specs()) {
    const StoredTensor stored = read->find(spec.name);
    ASSERT_EQ(stored.info->shape, spec.shape);
    for (const uint8_t byte : stored.bytes) EXPECT_EQ(byte, spec.shape[0]);
  }
}

TEST_F(ShardedWriterTest, UnfinishedWorkIsRemoved) {
  {
    auto writer = ShardedWriter::create(directory_, specs(), 20);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(fill(*writer).ok());  // two of three shards are on the disk
  }
  EXPECT_EQ(files(), std::vector<std::string>{"config.json"});
}

}  // namespace
}  // namespace gallop::checkpoint
