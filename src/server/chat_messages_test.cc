#include "server/chat_messages.h"

#include <gtest/gtest.h>

namespace gallop::server {
namespace {

std::string convert(const std::string& json) {
  const Result<Json> converted = convert_messages(*parse_json(json));
  return converted.ok() ? dump_json(*converted) : "error: " + converted.error().message;
}

std::string param(const std::string& json) {
  const Result<Json> converted = convert_messages(*parse_json(json));
  return converted.ok() ? "no error" : converted.error().param;
}

TEST(ChatMessages, RolesAndContent) {
  EXPECT_EQ(convert(R"([{"role":"developer","content":"a"},{"role":"user","content":"b"}])"),
            R"([{"role":"developer","content":"a"},{"role":"user","content":"b"}])");
  EXPECT_EQ(convert(R"([{"role":"function","content":"a","name":"f"}])"),
            R"([{"role":"tool","content":"a","name":"f"}])");
  EXPECT_EQ(convert(R"([{"role":"user","content":[{"type":"text","text":"a"},"b",
                        {"type":"input_text","text":"c"},{"type":"refusal","refusal":"d"}]}])"),
            R"([{"role":"user","content":"abcd"}])");
  EXPECT_EQ(convert(R"([{"role":"assistant"}])"), R"([{"role":"assistant","content":null}])");
  EXPECT_EQ(convert(R"([{"role":"user","content":null}])"), R"([{"role":"user","content":null}])");
}

TEST(ChatMessages, ADeveloperMayBecomeSystem) {
  Json messages = *parse_json(R"([{"role":"developer","content":"a"},{"role":"user"}])");
  rename_developer(messages);
  EXPECT_EQ(dump_json(messages), R"([{"role":"system","content":"a"},{"role":"user"}])");
}

TEST(ChatMessages, AssistantMessages) {
  EXPECT_EQ(convert(R"([{"role":"assistant","content":"a","reasoning":"r","tool_calls":[]}])"),
            R"([{"role":"assistant","content":"a","reasoning":"r","reasoning_content":"r"}])");
  EXPECT_EQ(convert(R"([{"role":"assistant","content":"a","reasoning_content":"r"}])"),
            R"([{"role":"assistant","content":"a","reasoning":"r","reasoning_content":"r"}])");
  const auto call = [](const std::string& arguments) {
    return convert(R"([{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function",
                       "function":{"name":"f","arguments":)" +
                   arguments + "}}]}]");
  };
  const std::string head = R"([{"role":"assistant","content":null,"tool_calls":[{"id":"1",)"
                           R"("type":"function","function":{"name":"f","arguments":)";
  EXPECT_EQ(call(R"("{\"b\": 1, \"a\": [true]}")"), head + R"({"b":1,"a":[true]}}}]}])");
  EXPECT_EQ(call(R"({"b": 1})"), head + R"({"b":1}}}]}])");
  EXPECT_EQ(call(R"("")"), head + R"({}}}]}])");
  EXPECT_EQ(call("null"), head + R"({}}}]}])");
  EXPECT_EQ(call(R"("[1]")"),
            "error: messages.0.tool_calls.0.function.arguments: the arguments "
            "must be a JSON object, found a list.");
  EXPECT_NE(call(R"("{\"a\":")").find("error: messages.0.tool_calls.0.function.arguments"),
            std::string::npos);
}

TEST(ChatMessages, ErrorsNameThePlace) {
  EXPECT_EQ(param("{}"), "body.messages");
  EXPECT_EQ(param("[]"), "messages");
  EXPECT_EQ(param("[1]"), "body.messages.0");
  EXPECT_EQ(param(R"([{"content":"a"}])"), "body.messages.0.role");
  EXPECT_EQ(param(R"([{"role":1,"content":"a"}])"), "body.messages.0.role");
  EXPECT_EQ(param(R"([{"role":"user"}])"), "body.messages.0.content");
  EXPECT_EQ(param(R"([{"role":"user","content":{"a":1}}])"), "body.messages.0.content");
  EXPECT_EQ(param(R"([{"role":"user","content":[{"type":"text"}]}])"),
            "body.messages.0.content.0.text");
  EXPECT_EQ(param(R"([{"role":"user","content":[{"type":"audio","audio":{}}]}])"), "messages");
  EXPECT_EQ(param(R"([{"role":"assistant","tool_calls":[{}]}])"), "body.messages.0.tool_calls.0");
  EXPECT_EQ(param(R"([{"role":"assistant","tool_calls":"x"}])"), "body.messages.0.tool_calls");
  const std::string image =
      convert(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])");
  EXPECT_NE(image.find("no vision"), std::string::npos);
}

}  // namespace
}  // namespace gallop::server
