#include "server/sampling_defaults.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace gallop::server {
namespace {

class SamplingDefaultsTest : public testing::Test {
 protected:
  SamplingDefaultsTest() { std::filesystem::create_directories(directory_); }
  ~SamplingDefaultsTest() override { std::filesystem::remove_all(directory_); }

  Result<SamplingDefaults> load(const std::string& json) {
    std::ofstream(directory_ / "generation_config.json") << json;
    return load_sampling_defaults(directory_);
  }

  const std::filesystem::path directory_ =
      std::filesystem::path(testing::TempDir()) /
      testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(SamplingDefaultsTest, ValuesOfTheFile) {
  const auto defaults = load(
      R"({"do_sample": true, "temperature": 0.7, "top_p": 0.95, "top_k": 20, "min_p": 0.1,
          "repetition_penalty": 1.5, "presence_penalty": -1, "frequency_penalty": 0.25,
          "max_new_tokens": 77, "eos_token_id": [1, 2]})");
  ASSERT_TRUE(defaults.ok());
  EXPECT_EQ(defaults->temperature, 0.7f);
  EXPECT_EQ(defaults->top_p, 0.95f);
  EXPECT_EQ(defaults->top_k, 20);
  EXPECT_EQ(defaults->min_p, 0.1f);
  EXPECT_EQ(defaults->repetition_penalty, 1.5f);
  EXPECT_EQ(defaults->presence_penalty, -1.0f);
  EXPECT_EQ(defaults->frequency_penalty, 0.25f);
  EXPECT_EQ(defaults->max_new_tokens, 77);
}

TEST_F(SamplingDefaultsTest, AbsentValuesAreThoseOfOpenAi) {
  for (const auto& defaults : {load_sampling_defaults(directory_), load("{}")}) {
    ASSERT_TRUE(defaults.ok());
    EXPECT_EQ(defaults->temperature, 1);
    EXPECT_EQ(defaults->top_p, 1);
    EXPECT_EQ(defaults->top_k, 0);
    EXPECT_FALSE(defaults->max_new_tokens.has_value());
  }
  EXPECT_EQ(load(R"({"top_k": -1})")->top_k, 0);
}

TEST_F(SamplingDefaultsTest, BadValuesNameFileAndKey) {
  const std::string bad[][2] = {{"temperature", "-0.1"},
                                {"top_p", "0"},
                                {"top_k", "-2"},
                                {"min_p", "2"},
                                {"top_p", "\"x\""},
                                {"max_new_tokens", "0"},
                                {"repetition_penalty", "0"}};
  for (const auto& [key, value] : bad) {
    const auto defaults = load("{\"" + key + "\": " + value + "}");
    ASSERT_FALSE(defaults.ok()) << key;
    EXPECT_NE(defaults.error().message.find(key), std::string::npos) << defaults.error().message;
    EXPECT_NE(defaults.error().message.find("generation_config.json"), std::string::npos);
  }
  EXPECT_FALSE(load("[]").ok());
  EXPECT_FALSE(load("{").ok());
}

}  // namespace
}  // namespace gallop::server
