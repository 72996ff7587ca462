#include "checkpoint/hf_checkpoint.h"

#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace gallop::checkpoint {
namespace {

namespace fs = std::filesystem;

class HfCheckpointTest : public testing::Test {
 protected:
  HfCheckpointTest() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::temp_directory_path() / fmt::format("gallop-hf-{}-{}", test->name(), ::getpid());
    directory_ = root_ / "model";
    fs::create_directories(directory_);
    write("config.json", "{}");
  }
  ~HfCheckpointTest() override { fs::remove_all(root_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }
  // A file of one-element tensors with those names; the value is the name's length.
  void write_tensors(const fs::path& path, const std::vector<std::string>& names) {
    std::vector<float> values;
    for (const std::string& name : names) values.push_back(static_cast<float>(name.size()));
    std::vector<TensorData> tensors;
    for (size_t i = 0; i < names.size(); ++i) {
      tensors.push_back({.spec = {names[i], DType::kF32, {1}},
                         .bytes = {reinterpret_cast<const uint8_t*>(&values[i]), 4}});
    }
    ASSERT_TRUE(write_safetensors(path, tensors).ok());
  }
  void write_index(const std::string& weight_map) {
    write("model.safetensors.index.json",
          R"({"metadata":{"total_size":12,"x":[1,{"weight_map":2}]},"weight_map":)" + weight_map +
              "}");
  }
  std::string open_error() {
    const auto checkpoint = HfCheckpoint::open(directory_);
    return checkpoint.ok() ? "no error" : checkpoint.error().message;
  }

  fs::path root_;
  fs::path directory_;
};

TEST_F(HfCheckpointTest, SingleFile) {
  write_tensors(directory_ / "model.safetensors", {"a", "bb"});
  auto opened = HfCheckpoint::open(directory_);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const HfCheckpoint checkpoint = std::move(opened).value();
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string_view>{"a", "bb"}));
  const StoredTensor stored = checkpoint.find("bb");
  ASSERT_NE(stored.info, nullptr);
  float value = 0;
  std::memcpy(&value, stored.bytes.data(), sizeof(value));
  EXPECT_EQ(value, 2.0f);
  EXPECT_EQ(checkpoint.find("c").info, nullptr);
}

TEST_F(HfCheckpointTest, ShardsAlsoBehindSymlinks) {
  write_tensors(root_ / "blob", {"a"});
  fs::create_symlink("../blob", directory_ / "one.safetensors");
  write_tensors(directory_ / "two.safetensors", {"bb", "ccc"});
  write_index(R"({"a":"one.safetensors","ccc":"two.safetensors","bb":"two.safetensors"})");
  const auto checkpoint = HfCheckpoint::open(directory_);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->files().size(), 2u);
  EXPECT_EQ(*checkpoint->find("ccc").file, directory_ / "two.safetensors");
}

TEST_F(HfCheckpointTest, IndexAndShardsMustAgree) {
  write_tensors(directory_ / "one.safetensors", {"a"});
  write_tensors(directory_ / "two.safetensors", {"b", "c"});
  write_index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  EXPECT_NE(open_error().find("tensor 'c' of two.safetensors is not listed"), std::string::npos);
  write_index(R"({"a":"one.safetensors","b":"two.safetensors","c":"one.safetensors"})");
  EXPECT_NE(open_error().find("tensor 'c'"), std::string::npos) << open_error();
  write_index(R"({"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors",)"
              R"("d":"two.safetensors"})");
  EXPECT_NE(open_error().find("tensor 'd' is listed under 'two.safetensors'"), std::string::npos);
  write_index(R"({"a":"three.safetensors"})");
  EXPECT_NE(open_error().find("three.safetensors"), std::string::npos);
}

TEST_F(HfCheckpointTest, IndexStaysInsideTheDirectory) {
  write_tensors(root_ / "outside.safetensors", {"a"});
  const std::vector<std::string> names = {"../outside.safetensors",
                                          "x/../../outside.safetensors",
                                          (root_ / "outside.safetensors").string(),
                                          "",
                                          "a\\u0000b",
                                          ".."};
  for (const std::string& name : names) {
    write_index(R"({"a":")" + name + R"("})");
    EXPECT_NE(open_error().find("expected the name of a file inside the directory"),
              std::string::npos)
        << name << ": " << open_error();
  }
}

TEST_F(HfCheckpointTest, BadIndexTexts) {
  const auto error_of = [](const std::string& json) {
    const auto index = parse_shard_index(json);
    return index.ok() ? std::string("no error") : index.error().message;
  };
  EXPECT_EQ(error_of(R"({"weight_map":{"a":"f"},"other":[null,1.5,{"a":true}]})"), "no error");
  EXPECT_NE(error_of("").find("not valid JSON"), std::string::npos);
  EXPECT_NE(error_of("[]").find("expected an object"), std::string::npos);
  EXPECT_NE(error_of("{}").find("weight_map is missing"), std::string::npos);
  EXPECT_NE(error_of(R"({"weight_map":{}})").find("no tensor"), std::string::npos);
  EXPECT_NE(error_of(R"({"weight_map":null})").find("expected an object"), std::string::npos);
  EXPECT_NE(error_of(R"({"weight_map":"x"})").find("expected an object"), std::string::npos);
  EXPECT_NE(error_of(R"({"weight_map":["x"]})").find("expected an object"), std::string::npos);
  EXPECT_NE(error_of(R"({"weight_map":{"a":1}})").find("for tensor 'a'"), std::string::npos);
  EXPECT_NE(error_of(R"({"weight_map":{"a":{"b":"c"}}})").find("'a'"), std::string::npos);
  EXPECT_NE(error_of(R"({"weight_map":{"a":"f","a":"g"}})").find("listed twice"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"weight_map":{"a":"f"},"weight_map":{"b":"f"}})").find("appears twice"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"metadata":)" + std::string(100'000, '[')).find("nested too deeply"),
            std::string::npos);
}

TEST_F(HfCheckpointTest, MissingPieces) {
  EXPECT_NE(open_error().find("neither model.safetensors nor"), std::string::npos);
  fs::remove(directory_ / "config.json");
  EXPECT_NE(open_error().find("config.json"), std::string::npos);
  fs::remove(directory_);
  EXPECT_NE(open_error().find("is not a directory"), std::string::npos);
  fs::create_directories(directory_);
  write("config.json", "[1]");
  EXPECT_NE(open_error().find("expected a JSON object"), std::string::npos);
}

}  // namespace
}  // namespace gallop::checkpoint
