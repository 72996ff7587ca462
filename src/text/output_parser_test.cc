#include "text/output_parser.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "text/tool_arguments.h"

namespace gallop::text {
namespace {

// What a client ends up with.
struct Answer {
  std::string reasoning;
  std::string content;
  std::vector<std::string> names;
  std::vector<std::string> arguments;

  bool operator==(const Answer&) const = default;
};

void add(const std::vector<OutputPiece>& pieces, Answer& answer) {
  for (const OutputPiece& piece : pieces) {
    switch (piece.kind) {
      case OutputPiece::Kind::kReasoning:
        answer.reasoning += piece.text;
        break;
      case OutputPiece::Kind::kContent:
        answer.content += piece.text;
        break;
      case OutputPiece::Kind::kToolName:
        ASSERT_EQ(static_cast<size_t>(piece.tool_index), answer.names.size());
        answer.names.push_back(piece.text);
        answer.arguments.emplace_back();
        break;
      case OutputPiece::Kind::kToolArguments:
        ASSERT_EQ(static_cast<size_t>(piece.tool_index) + 1, answer.arguments.size());
        answer.arguments.back() += piece.text;
        break;
    }
  }
}

Json tools() {
  return *parse_json(R"([{"type": "function", "function": {"name": "cook", "parameters": {
    "type": "object", "properties": {
      "code": {"type": "string"}, "count": {"type": "integer"}, "ratio": {"type": "number"},
      "on": {"type": "boolean"}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
      "items": {"type": "array", "items": {"type": "integer"}},
      "place": {"type": "object", "properties": {"floor": {"type": "integer"}}}}}}}])");
}

Answer parse(std::string_view text, OutputParserOptions options, std::mt19937* random = nullptr) {
  OutputParser parser(std::move(options));
  Answer answer;
  while (!text.empty()) {
    size_t length = text.size();
    if (random != nullptr) length = std::uniform_int_distribution<size_t>(1, 7)(*random);
    length = std::min(length, text.size());
    add(parser.append(text.substr(0, length)), answer);
    text.remove_prefix(length);
  }
  add(parser.finish(), answer);
  return answer;
}

struct Case {
  const char* what;
  std::string text;
  Answer answer;
  bool reasoning = false;
  bool parse_tools = true;
};

const std::string kCall =
    "<tool_call>\n<function=cook>\n<parameter=code>\nXP-6199\n</parameter>\n"
    "<parameter=count>\n81\n</parameter>\n</function>\n</tool_call>";
const std::string kCallArguments = R"({"code": "XP-6199", "count": 81})";

std::vector<Case> text_cases() {
  return {
      {"plain", "Hello.", {"", "Hello.", {}, {}}},
      {"reasoning", "think\n</think>\n\nHi", {"think\n", "\n\nHi", {}, {}}, true},
      {"cut inside reasoning", "think <", {"think <", "", {}, {}}, true},
      {"repeated end", "a</think>b</think>c", {"a", "bc", {}, {}}, true},
      {"opens it itself", "\n<think>\nx</think>y", {"\nx", "y", {}, {}}},
      {"later <think> is text", "say <think> now", {"", "say <think> now", {}, {}}},
      {"opened twice", "<think>x</think>y", {"x", "y", {}, {}}, true},
      {"white space alone", " \n", {"", " \n", {}, {}}},
      {"no tools", kCall, {"", kCall, {}, {}}, false, false},
      {"angle brackets", "a < b <tool> </thin", {"", "a < b <tool> </thin", {}, {}}},
  };
}

std::vector<Case> call_cases() {
  const std::string open = "<tool_call>\n<function=cook>\n<parameter=code>\n";
  return {
      {"call", kCall, {"", "", {"cook"}, {kCallArguments}}},
      {"after reasoning", "x</think>\n\n" + kCall, {"x", "", {"cook"}, {kCallArguments}}, true},
      {"inside reasoning", "x\n" + kCall, {"x\n", "", {"cook"}, {kCallArguments}}, true},
      {"two calls",
       "A\n" + kCall + "\n" + kCall + "\n",
       {"", "A\n", {"cook", "cook"}, {kCallArguments, kCallArguments}}},
      {"text after", kCall + "\ndone", {"", "\ndone", {"cook"}, {kCallArguments}}},
      {"no <tool_call>", kCall.substr(12), {"", "", {"cook"}, {kCallArguments}}},
      {"no </tool_call>",
       kCall.substr(0, kCall.size() - 12) + kCall,
       {"", "", {"cook", "cook"}, {kCallArguments, kCallArguments}}},
      {"no </parameter>",
       open + "a\n<parameter=count>\n1\n</function></tool_call>",
       {"", "", {"cook"}, {R"({"code": "a", "count": 1})"}}},
      {"no </function>",
       open + "a\n</parameter></tool_call>x",
       {"", "x", {"cook"}, {R"({"code": "a"})"}}},
      {"no arguments",
       "<tool_call><function=now></function></tool_call>",
       {"", "", {"now"}, {"{}"}}},
      {"cut in a string", open + "a\n\"b\n</par", {"", "", {"cook"}, {R"({"code": "a\n\"b"})"}}},
      {"cut in a number",
       "<function=cook><parameter=count>12",
       {"", "", {"cook"}, {R"({"count": 12})"}}},
      {"cut in a name", "x<tool_call>\n<function=co", {"", "x", {}, {}}},
      {"cut between", open + "a</parameter>\n<par", {"", "", {"cook"}, {R"({"code": "a"})"}}},
      {"one line end each",
       open + "\n\ta\n\n</parameter></function>",
       {"", "", {"cook"}, {R"({"code": "\n\ta\n"})"}}},
      {"tags in a value",
       open + "<b>x</b> < y</parameter></function>",
       {"", "", {"cook"}, {R"({"code": "<b>x</b> < y"})"}}},
      {"unknown function",
       "<function=f><parameter=n>1</parameter></function>",
       {"", "", {"f"}, {R"({"n": "1"})"}}},
      {"characters",
       open + "na\xc3\xafve \xf0\x9f\x9a\x80</parameter></function>",
       {"", "", {"cook"}, {"{\"code\": \"na\xc3\xafve \xf0\x9f\x9a\x80\"}"}}},
  };
}

void check(const std::vector<Case>& cases) {
  std::mt19937 random(7);
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const OutputParserOptions options{c.reasoning, c.parse_tools, tools()};
    const Answer whole = parse(c.text, options);
    EXPECT_EQ(whole.reasoning, c.answer.reasoning);
    EXPECT_EQ(whole.content, c.answer.content);
    EXPECT_EQ(whole.names, c.answer.names);
    EXPECT_EQ(whole.arguments, c.answer.arguments);
    for (const std::string& arguments : whole.arguments) {
      EXPECT_TRUE(parse_json(arguments).ok()) << arguments;
    }
    for (int split = 0; split < 50; ++split) EXPECT_EQ(parse(c.text, options, &random), whole);
  }
}

TEST(OutputParser, ReasoningAndContent) { check(text_cases()); }

TEST(OutputParser, ToolCalls) { check(call_cases()); }

TEST(OutputParser, StringValuesStream) {
  OutputParser parser({false, true, tools()});
  parser.append("<tool_call>\n<function=cook>\n<parameter=code>\n");
  const std::vector<OutputPiece> pieces = parser.append("first line");
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].kind, OutputPiece::Kind::kToolArguments);
  EXPECT_EQ(pieces[0].text, "first line");
  EXPECT_EQ(parser.tool_calls(), 1);
}

// Any sequence of markers and text: every split gives the same pieces, arguments stay JSON, and no
// tool marker shows in what a client sees outside of values.
TEST(OutputParser, RandomMarkersAndSplits) {
  const std::vector<std::string> parts = {"<think>",
                                          "</think>",
                                          "<tool_call>",
                                          "</tool_call>",
                                          "<function=cook>",
                                          "</function>",
                                          "<parameter=code>",
                                          "<parameter=count>",
                                          "</parameter>",
                                          "\n",
                                          " ",
                                          "7",
                                          "text",
                                          "<",
                                          "<para",
                                          "\"",
                                          "\xc3\xa9"};
  std::mt19937 random(11);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    const int count = std::uniform_int_distribution<int>(1, 14)(random);
    for (int i = 0; i < count; ++i) text += parts[random() % parts.size()];
    const OutputParserOptions options{random() % 2 == 0, random() % 4 != 0, tools()};
    const Answer whole = parse(text, options);
    for (int split = 0; split < 4; ++split) {
      ASSERT_EQ(parse(text, options, &random), whole) << text;
    }
    for (const std::string& arguments : whole.arguments) {
      ASSERT_TRUE(parse_json(arguments).ok()) << text << " gave " << arguments;
    }
    if (!options.parse_tools) continue;
    ASSERT_EQ(whole.content.find("tool_call>"), std::string::npos) << text;
    ASSERT_EQ(whole.content.find("</think>"), std::string::npos) << text;
  }
}

TEST(ToolArguments, CoercionFollowsTheSchema) {
  const Json all = tools();
  const auto coerce = [&](std::string_view key, std::string_view text) {
    return coerce_argument(text, parameter_schema(all, "cook", key));
  };
  EXPECT_EQ(coerce("code", "81"), R"("81")");
  EXPECT_EQ(coerce("count", " 0081 "), "81");
  EXPECT_EQ(coerce("count", "-123456789012345678901234567890"), "-123456789012345678901234567890");
  EXPECT_EQ(coerce("count", "5.0"), R"("5.0")");
  EXPECT_EQ(coerce("count", ""), R"("")");
  EXPECT_EQ(coerce("ratio", "5.0"), "5");
  EXPECT_EQ(coerce("ratio", "-2.5e-3"), "-0.0025");
  EXPECT_EQ(coerce("ratio", "inf"), R"("inf")");
  EXPECT_EQ(coerce("ratio", "1e999"), R"("1e999")");
  EXPECT_EQ(coerce("on", "True"), "true");
  EXPECT_EQ(coerce("on", "0"), "false");
  EXPECT_EQ(coerce("on", "yes"), R"("yes")");
  EXPECT_EQ(coerce("note", "null"), "null");
  EXPECT_EQ(coerce("note", "nul"), R"("nul")");
  EXPECT_EQ(coerce("items", R"([1, "2", "x"])"), R"([1, 2, "x"])");
  EXPECT_EQ(coerce("items", "{}"), R"("{}")");
  EXPECT_EQ(coerce("place", R"({"floor":"3","b":[true,null]})"),
            R"({"floor": 3, "b": [true, null]})");
  EXPECT_EQ(coerce("nothing", "1"), R"("1")");
}

}  // namespace
}  // namespace gallop::text
