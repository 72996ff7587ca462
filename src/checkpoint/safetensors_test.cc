#include "checkpoint/safetensors.h"

#include <bit>
#include <csignal>
#include <cstring>
#include <fstream>
#include <numeric>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "checkpoint/testing/stored_view.h"

namespace gallop::checkpoint {
namespace {

namespace fs = std::filesystem;

// A directory of this test's own that is removed with it.
class SafetensorsTest : public testing::Test {
 protected:
  SafetensorsTest() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::temp_directory_path() /
                 fmt::format("gallop-safetensors-{}-{}", test->name(), ::getpid());
    fs::create_directories(directory_);
  }
  ~SafetensorsTest() override { fs::remove_all(directory_); }

  // A file of a length word, `json` and `data_bytes` zeros.
  fs::path write_raw(const std::string& json, size_t data_bytes,
                     std::optional<uint64_t> length = std::nullopt) {
    const fs::path path = directory_ / "raw.safetensors";
    const uint64_t word = length.value_or(json.size());
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&word), sizeof(word));
    out << json << std::string(data_bytes, '\0');
    return path;
  }

  fs::path directory_;
};

std::span<const uint8_t> bytes_of(const std::vector<float>& values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)};
}

std::string header_error(const std::string& json, uint64_t data_bytes) {
  const auto header = parse_safetensors_header(json, data_bytes);
  return header.ok() ? "no error" : header.error().message;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  uint64_t begin, uint64_t end) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", name, dtype,
                     shape, begin, end);
}

TEST_F(SafetensorsTest, WrittenTensorsAreReadBack) {
  const std::vector<float> matrix = {1, 2, 3, 4, 5, 6};
  const std::vector<float> scalar = {7};
  const std::vector<uint8_t> small = {9, 8, 7};
  const std::vector<TensorData> tensors = {
      {.spec = {"small", DType::kU8, {3}}, .bytes = small},
      {.spec = {"b \"quoted\"", DType::kF32, {2, 3}}, .bytes = bytes_of(matrix)},
      {.spec = {"a", DType::kF32, {}}, .bytes = bytes_of(scalar)},
      {.spec = {"none", DType::kBF16, {0, 5}}, .bytes = {}},
  };
  const fs::path path = directory_ / "out.safetensors";
  ASSERT_TRUE(write_safetensors(path, tensors, {{"format", "pt"}, {"by", "test"}}).ok());
  const auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->metadata().at("by"), "test");
  ASSERT_EQ(file->tensors().size(), 4u);
  // Wide elements first, then by name.
  EXPECT_EQ(file->tensors()[0].name, "a");
  EXPECT_EQ(file->tensors()[1].name, "b \"quoted\"");
  EXPECT_EQ(file->tensors()[3].name, "small");
  const TensorView view = stored_view(*file, "b \"quoted\"");
  EXPECT_EQ(view.shape(), (Shape{2, 3}));
  EXPECT_EQ(view.row<float>(1)[2], 6.0f);
  EXPECT_EQ(*stored_view(*file, "a").as<float>(), 7.0f);
  EXPECT_EQ(stored_view(*file, "small").as<uint8_t>()[0], 9);
  EXPECT_EQ(stored_view(*file, "none").shape().elements(), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(stored_view(*file, "a").data()) % 8, 0u);
  EXPECT_EQ(file->find("absent"), nullptr);
}

TEST_F(SafetensorsTest, WriterTakesPiecesInAnyOrder) {
  const fs::path path = directory_ / "out.safetensors";
  auto writer =
      SafetensorsWriter::create(path, {{"x", DType::kF32, {2, 2}}, {"y", DType::kF32, {1}}});
  ASSERT_TRUE(writer.ok());
  const std::vector<float> first = {1, 2};
  const std::vector<float> second = {3, 4};
  const std::vector<float> other = {5};
  ASSERT_TRUE(writer->append("x", std::span(first)).ok());
  ASSERT_TRUE(writer->append("y", std::span(other)).ok());
  EXPECT_FALSE(fs::exists(path));
  ASSERT_TRUE(writer->append("x", std::span(second)).ok());
  ASSERT_TRUE(writer->finish().ok());
  const auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(stored_view(*file, "x").as<float>()[3], 4.0f);
  EXPECT_EQ(stored_view(*file, "y").as<float>()[0], 5.0f);
}

TEST_F(SafetensorsTest, AbandonedWriterLeavesNothing) {
  {
    auto writer =
        SafetensorsWriter::create(directory_ / "out.safetensors", {{"x", DType::kF32, {2}}});
    ASSERT_TRUE(writer.ok());
    EXPECT_FALSE(fs::is_empty(directory_));
  }
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(SafetensorsTest, FullDiskIsAnErrorAndKeepsTheOldFile) {
  const fs::path path = directory_ / "out.safetensors";
  const std::vector<float> small = {1};
  ASSERT_TRUE(
      write_safetensors(path, {{{.spec = {"x", DType::kF32, {1}}, .bytes = bytes_of(small)}}})
          .ok());
  // A limit on the file size stands in for the full disk: write() fails in the same place.
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {.rlim_cur = 4096, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const std::vector<float> large(4096, 2.0f);
  const auto result =
      write_safetensors(path, {{{.spec = {"x", DType::kF32, {4096}}, .bytes = bytes_of(large)}}});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("out.safetensors"), std::string::npos);
  const auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->find("x")->shape, std::vector<int64_t>{1});
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1);
}

TEST_F(SafetensorsTest, WriterRefusesPlacesItCannotUse) {
  const std::vector<float> one = {1};
  const std::vector<TensorData> tensors = {
      {.spec = {"x", DType::kF32, {1}}, .bytes = bytes_of(one)}};
  EXPECT_FALSE(write_safetensors(directory_ / "no" / "such.safetensors", tensors).ok());
  EXPECT_FALSE(write_safetensors(directory_, tensors).ok());
  EXPECT_FALSE(write_safetensors("/dev/null", tensors).ok());
  EXPECT_TRUE(fs::exists("/dev/null"));
}

TEST_F(SafetensorsTest, WriterRefusesANameGivenTwice) {
  const auto writer = SafetensorsWriter::create(directory_ / "out.safetensors",
                                                {{"x", DType::kF32, {1}}, {"x", DType::kU8, {1}}});
  ASSERT_FALSE(writer.ok());
  EXPECT_NE(writer.error().message.find("tensor 'x'"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(directory_));
}

// A process of the same number was killed and left its temporary files.
TEST_F(SafetensorsTest, LeftoversOfOthersAreNoHindrance) {
  const fs::path path = directory_ / "out.safetensors";
  const std::vector<TensorSpec> specs = {{"x", DType::kF32, {0}}};
  std::string first;
  {
    const auto writer = SafetensorsWriter::create(path, specs);
    ASSERT_TRUE(writer.ok());
    first = fs::directory_iterator(directory_)->path().string();
  }
  const size_t dash = first.rfind('-');  // out.safetensors.PID-SERIAL.partial
  const uint64_t serial = std::stoull(first.substr(dash + 1));
  const auto leave = [&](uint64_t count) {
    for (uint64_t i = 1; i <= count; ++i) {
      std::ofstream(first.substr(0, dash + 1) + std::to_string(serial + i) + ".partial")
          << "theirs";
    }
  };
  leave(3);
  {
    auto writer = SafetensorsWriter::create(path, specs);
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    ASSERT_TRUE(writer->finish().ok());
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 4);
  leave(1000);
  EXPECT_FALSE(SafetensorsWriter::create(path, specs).ok());
}

TEST_F(SafetensorsTest, FilesThatAreTooShort) {
  const auto error_of = [](const fs::path& path) {
    const auto file = SafetensorsFile::open(path);
    return file.ok() ? std::string("no error") : file.error().message;
  };
  const std::string json = "{" + entry("x", "F32", "[2]", 0, 8) + "}";
  EXPECT_EQ(error_of(write_raw(json, 8)), "no error");
  EXPECT_NE(error_of(write_raw(json, 7)).find("tensor 'x'"), std::string::npos);
  EXPECT_NE(error_of(write_raw(json, 0, 1000)).find("truncated"), std::string::npos);
  EXPECT_NE(error_of(write_raw(json, 8, ~uint64_t{0})).find("limit is 100000000"),
            std::string::npos);
  std::ofstream(directory_ / "short", std::ios::binary) << "1234567";
  EXPECT_NE(error_of(directory_ / "short").find("7 bytes"), std::string::npos);
  std::ofstream(directory_ / "empty", std::ios::binary).flush();
  EXPECT_NE(error_of(directory_ / "empty").find("0 bytes"), std::string::npos);
  EXPECT_NE(error_of(directory_ / "absent").find("absent"), std::string::npos);
  EXPECT_NE(error_of(directory_).find("not a regular file"), std::string::npos);
}

TEST_F(SafetensorsTest, OddAddressesAreReadable) {
  // A header of odd length puts the data at an odd address.
  std::string json = "{" + entry("x", "F32", "[1]", 0, 4) + "}";
  if (json.size() % 2 == 0) json += ' ';
  const auto file = SafetensorsFile::open(write_raw(json, 4));
  ASSERT_TRUE(file.ok()) << file.error().message;
  const std::span<const uint8_t> bytes = file->bytes(*file->find("x"));
  EXPECT_EQ(bytes.size(), 4u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.data()) % 2, 1u);
}

TEST(SafetensorsHeaderTest, GoodHeaders) {
  EXPECT_EQ(header_error("{}", 0), "no error");
  EXPECT_EQ(header_error("{}   ", 0), "no error");
  EXPECT_EQ(header_error(R"({"__metadata__":{"a":"b"}})", 0), "no error");
  // Any order in the text; the data is what must be contiguous. Rank 5 as in the vision tower.
  const std::string json = "{" + entry("b", "BF16", "[1,2,1,1,2]", 4, 12) + "," +
                           entry("a", "F32", "[]", 0, 4) + "," +
                           entry("empty", "F32", "[0]", 4, 4) + "}";
  const auto header = parse_safetensors_header(json, 12);
  ASSERT_TRUE(header.ok()) << header.error().message;
  EXPECT_EQ(header->tensors[0].name, "a");
  EXPECT_EQ(header->tensors[2].name, "b");
  EXPECT_EQ(header->tensors[2].elements(), 4);
}

struct BadHeader {
  std::string json;
  uint64_t data_bytes;
  std::string expected;  // in the message
};

TEST(SafetensorsHeaderTest, BadHeadersNameTheTensor) {
  const std::string good = entry("a", "F32", "[1]", 0, 4);
  const std::vector<BadHeader> cases = {
      {"", 0, "'{'"},
      {" {}", 0, "'{'"},
      {"[]", 0, "'{'"},
      {"{", 0, "not valid JSON at byte"},
      {"{}}", 0, "not valid JSON"},
      {"{\"a\xff\":1}", 0, "not valid JSON"},
      {R"({"a":1})", 0, "tensor 'a': expected an object, found a number"},
      {R"({"a":null})", 0, "tensor 'a': expected an object, found null"},
      {R"({"a":[]})", 0, "tensor 'a': expected an object, found a list"},
      {R"({"a":{"dtype":{}}})", 0, "tensor 'a': dtype: expected a string, found an object"},
      {R"({"a":{}})", 0, "tensor 'a': 'dtype' is missing"},
      {R"({"a":{"dtype":"F32","shape":[]}})", 4, "'data_offsets' is missing"},
      {R"({"a":{"dtype":"F32","dtype":"F32"}})", 4, "'dtype' appears twice"},
      {R"({"a":{"dtype":"F32","size":4}})", 4, "found 'size'"},
      {R"({"__metadata__":{"a":1}})", 0, "__metadata__: expected a string for 'a'"},
      {R"({"__metadata__":"a"})", 0, "__metadata__"},
      {"{" + entry("a", "F33", "[1]", 0, 4) + "}", 4, "tensor 'a': unknown dtype 'F33'"},
      {"{" + entry("a", "F32", "[-1]", 0, 4) + "}", 4, "shape: expected sizes"},
      {"{" + entry("a", "F32", "[1.5]", 0, 4) + "}", 4, "shape: expected sizes"},
      {"{" + entry("a", "F32", "[[1]]", 0, 4) + "}", 4, "shape: expected sizes"},
      {"{" + entry("a", "F32", "[99999999999999999999]", 0, 4) + "}", 4, "shape"},
      {"{" + entry("a", "F32", "[9223372036854775808]", 0, 4) + "}", 4, "too large"},
      {"{" + entry("a", "F32", "[4611686018427387904,4]", 0, 0) + "}", 0, "too large"},
      {"{" + entry("a", "F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", 0, 4) + "}", 4,
       "more than 16 dimensions"},
      {"{" + entry("a", "F32", "[2]", 0, 4) + "}", 4, "F32 [2] needs 8 bytes"},
      {"{" + entry("a", "F32", "[1]", 4, 0) + "}", 4, "do not lie in"},
      {"{" + entry("a", "F32", "[1]", 0, 4) + "}", 3, "do not lie in the file's 3 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "two offsets, found 1"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 4, "found more"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-1,3]}})", 4, "two offsets"},
      {"{" + good + "," + good + "}", 4, "tensor 'a' appears twice"},
      {"{" + good + "," + entry("b", "F32", "[1]", 2, 6) + "}", 6, "tensor 'b' overlaps 'a'"},
      {"{" + good + "," + entry("b", "F32", "[1]", 0, 4) + "}", 4, "overlaps"},
      {"{" + good + "," + entry("b", "F32", "[1]", 8, 12) + "}", 12, "4 bytes before tensor 'b'"},
      {"{" + good + "}", 6, "2 bytes at the end"},
  };
  for (const BadHeader& bad : cases) {
    const std::string message = header_error(bad.json, bad.data_bytes);
    EXPECT_NE(message.find(bad.expected), std::string::npos)
        << bad.json << "\ngave: " << message << "\nexpected: " << bad.expected;
  }
}

TEST(SafetensorsHeaderTest, DeepNestingEndsAtOnce) {
  EXPECT_NE(header_error("{\"a\":" + std::string(1'000'000, '['), 0), "no error");
  EXPECT_NE(header_error(R"({"a":{"dtype":)" + std::string(1'000'000, '['), 0), "no error");
}

// A mixture-of-experts shard has tens of thousands; quadratic work would take minutes here.
TEST(SafetensorsHeaderTest, ManyTensorsTakeLinearTime) {
  std::string json = "{";
  constexpr uint64_t kTensors = 100'000;
  for (uint64_t i = 0; i < kTensors; ++i) {
    if (i > 0) json += ',';
    json += entry(fmt::format("model.layers.experts.{}.weight", i), "U8", "[1]", i, i + 1);
  }
  json += '}';
  const auto header = parse_safetensors_header(json, kTensors);
  ASSERT_TRUE(header.ok()) << header.error().message;
  EXPECT_EQ(header->tensors.size(), kTensors);
}

}  // namespace
}  // namespace gallop::checkpoint
