#include "text/chat_template.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/testing/write_file.h"

namespace gallop::text {
namespace {

class ChatTemplateTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::temp_directory_path() / ("chat_template_" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void put(const std::string& name, const std::string& text) {
    ASSERT_TRUE(write_file(directory_ / name, text));
  }
  std::string render(const ChatInput& input) {
    const auto loaded = ChatTemplate::load(directory_);
    if (!loaded.ok()) return "load: " + loaded.error().message;
    const auto prompt = loaded->render(input);
    return prompt.ok() ? *prompt : "error: " + prompt.error().message;
  }

  std::filesystem::path directory_;
};

TEST_F(ChatTemplateTest, RendersFoal) {
  const auto foal =
      ChatTemplate::load(std::filesystem::path(GALLOP_SOURCE_DIR) / "models" / "foal" / "target");
  ASSERT_TRUE(foal.ok()) << foal.error().message;
  ChatInput input;
  input.messages = *parse_json(R"([{"role": "user", "content": " Hi "}])");
  EXPECT_EQ(*foal->render(input),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n");
  input.kwargs = *parse_json(R"({"enable_thinking": false})");
  EXPECT_EQ(*foal->render(input),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n");
  input.kwargs = *parse_json(R"({"add_generation_prompt": false})");
  EXPECT_EQ(*foal->render(input), "<|im_start|>user\nHi<|im_end|>\n");
  input.messages = *parse_json(R"([{"role": "system", "content": "x"}])");
  const auto refused = foal->render(input);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("No user query found in messages."), std::string::npos);
}

TEST_F(ChatTemplateTest, GivesSpecialTokensAndDefaults) {
  put("chat_template.jinja",
      "{{ bos_token is defined }} {{ eos_token }} {{ image_token }} {{ tools }} {{ documents }} "
      "{{ add_generation_prompt }} {{ extra }}");
  put("tokenizer_config.json",
      R"({"bos_token": null, "eos_token": "<e>", "image_token": {"content": "<i>"},
          "chat_template": "unused"})");
  ChatInput input;
  EXPECT_EQ(render(input), "False <e> <i> None None True ");
  input.kwargs = *parse_json(R"({"eos_token": "<mine>", "extra": [1.0]})");
  EXPECT_EQ(render(input), "False <mine> <i> None None True [1.0]");
}

TEST_F(ChatTemplateTest, ChoosesAmongNamedTemplates) {
  put("tokenizer_config.json",
      R"({"chat_template": [{"name": "default", "template": "plain"},
                            {"name": "tool_use", "template": "tools {{ tools|length }}"}]})");
  ChatInput input;
  EXPECT_EQ(render(input), "plain");
  input.tools = *parse_json("[{}]");
  EXPECT_EQ(render(input), "tools 1");
  const auto loaded = ChatTemplate::load(directory_);
  EXPECT_EQ(loaded->source(false), "plain");
  EXPECT_EQ(loaded->source(true), "tools {{ tools|length }}");
}

TEST_F(ChatTemplateTest, TakesNoLoneTemplateOfAnotherName) {
  put("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "t"}]})");
  EXPECT_NE(render({}).find("tokenizer_config.json: chat_template has no entry named default"),
            std::string::npos);
}

TEST_F(ChatTemplateTest, KeepsItsOwnVariables) {
  put("chat_template.jinja", "{{ messages }}");
  ChatInput input;
  input.kwargs = *parse_json(R"({"messages": 1})");
  EXPECT_NE(render(input).find("'messages' cannot be among"), std::string::npos);
  input.kwargs = *parse_json(R"({"tools": 1})");
  EXPECT_NE(render(input).find("'tools' cannot be among"), std::string::npos);
}

TEST_F(ChatTemplateTest, NamesWhatIsWrong) {
  const auto nowhere = ChatTemplate::load(directory_ / "none");
  ASSERT_FALSE(nowhere.ok());
  EXPECT_NE(nowhere.error().message.find("none is not a directory"), std::string::npos);
  const auto absent = ChatTemplate::load(directory_);
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  put("tokenizer_config.json", R"({"chat_template": 5})");
  EXPECT_NE(render({}).find("chat_template must be a string or a list"), std::string::npos);
  put("chat_template.jinja", "a\n{% if %}");
  EXPECT_NE(render({}).find("chat_template.jinja: chat template, line 2: expected an expression"),
            std::string::npos);
  put("chat_template.jinja", "\xff");
  EXPECT_NE(render({}).find("not valid UTF-8"), std::string::npos);
}

}  // namespace
}  // namespace gallop::text
