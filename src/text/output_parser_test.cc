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
  ToolForm form = ToolForm::kXml;
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
      {"cut in a name", "x<tool_call>\n<function=co", {"", "x<function=co", {}, {}}},
      {"cut in front of a name", "<function=", {"", "<function=", {}, {}}},
      {"no name",
       "<tool_call><function=></function></tool_call>",
       {"", "<function=></function>", {}, {}}},
      {"a blank name", "<function= \n<b>", {"", "<function= \n<b>", {}, {}}},
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

Case hermes(const char* what, std::string text, Answer answer, bool reasoning = false) {
  return {what, std::move(text), std::move(answer), reasoning, true, ToolForm::kHermes};
}

const std::string kHermesCall =
    "<tool_call>\n{\"name\": \"cook\", \"arguments\": {\"code\": \"XP\", "
    "\"count\":81}}\n</tool_call>";
const std::string kHermesArguments = R"({"code": "XP", "count": 81})";

std::vector<Case> hermes_cases() {
  const Answer one{"", "", {"cook"}, {kHermesArguments}};
  return {
      hermes("call", kHermesCall, one),
      hermes("inside reasoning", "x\n" + kHermesCall, {"x\n", "", {"cook"}, {kHermesArguments}},
             true),
      hermes("two calls", "A\n" + kHermesCall + "\n" + kHermesCall + "B",
             {"", "A\nB", {"cook", "cook"}, {kHermesArguments, kHermesArguments}}),
      hermes("no </tool_call>", kHermesCall.substr(0, kHermesCall.size() - 12) + kHermesCall,
             {"", "", {"cook", "cook"}, {kHermesArguments, kHermesArguments}}),
      hermes("arguments first",
             R"(<tool_call>{"arguments": {"a":[1,{}]}, "name": "f"}</tool_call>)",
             {"", "", {"f"}, {R"({"a": [1, {}]})"}}),
      hermes("other keys", R"(<tool_call>{"id":[7], "n":1,"name":"f","x":{"y":2}}</tool_call>)",
             {"", "", {"f"}, {"{}"}}),
      hermes("arguments in a string",
             R"(<tool_call>{"name":"f","arguments":"{\"a\":1}"}</tool_call>)",
             {"", "", {"f"}, {R"({"a": 1})"}}),
      hermes("no arguments", R"(<tool_call>{"name": "f", "arguments": null}</tool_call>)",
             {"", "", {"f"}, {"{}"}}),
      hermes("values",
             R"(<tool_call>{"name":"f","arguments":{"a":True,"b":None,"c":-1.5e3,"d":[ ],)"
             R"("e":1e999,"f":[true,null,"x",],}}</tool_call>)",
             {"",
              "",
              {"f"},
              {R"({"a": true, "b": null, "c": -1.5e3, "d": [], "e": "1e999", )"
               R"("f": [true, null, "x"]})"}}),
      hermes("markers in a string",
             R"(<tool_call>{"name":"f","arguments":{"a":"</tool_call><b>"}})",
             {"", "", {"f"}, {R"({"a": "</tool_call><b>"})"}}),
      hermes("the other form is text", kCall.substr(12),
             {"", kCall.substr(12, kCall.size() - 24), {}, {}}),
  };
}

std::vector<Case> hermes_strings() {
  const auto with = [](const char* what, const std::string& in, const std::string& out) {
    return hermes(what, R"(<tool_call>{"name":"f","arguments":{"a":")" + in + R"("}}</tool_call>)",
                  {"", "", {"f"}, {R"({"a": ")" + out + R"("})"}});
  };
  return {
      with("escapes", R"(\"\\\/\b\f\n\r\t\u00e9)", R"(\"\\\/\b\f\n\r\t\u00e9)"),
      with("raw control characters", "a\n\tb", "a\\n\\tb"),
      with("no escape", R"(\d+\u12x)", R"(\\d+\\u12x)"),
      with("pair", R"(\ud83d\ude80)", R"(\ud83d\ude80)"),
      with("half pairs", R"(\ud83d \ude80\ud83d\n\ud83d)", R"(\ufffd \ufffd\ufffd\n\ufffd)"),
      with("characters", "na\xc3\xafve \xf0\x9f\x9a\x80", "na\xc3\xafve \xf0\x9f\x9a\x80"),
  };
}

// What is no JSON is content, what was read before it stays.
std::vector<Case> hermes_malformed() {
  return {
      hermes("no object", "<tool_call>\nI would call f.\n</tool_call>",
             {"", "\nI would call f.\n", {}, {}}),
      hermes("a list", "<tool_call>[1]</tool_call>", {"", "[1]", {}, {}}),
      hermes("no name", R"(<tool_call>{"arguments": {"a": 1}}</tool_call>)",
             {"", R"({"arguments": {"a": 1}})", {}, {}}),
      hermes("a name that is none", R"(<tool_call>{"name": 5}</tool_call>)",
             {"", R"({"name": 5})", {}, {}}),
      hermes("arguments that are none", R"(<tool_call>{"name":"f","arguments":[1]} </tool_call>)",
             {"", R"({"name":"f","arguments":[1]} )", {}, {}}),
      hermes("a bad word", R"(<tool_call>{"name":"f","arguments":{"a":1,"b":tru}}</tool_call>)",
             {"", R"("b":tru}})", {"f"}, {R"({"a": 1})"}}),
      hermes("single quotes", R"(<tool_call>{"name":"f","arguments":{"a": 'x'}}</tool_call>)",
             {"", R"("a":'x'}})", {"f"}, {"{}"}}),
      hermes("a bad key", R"(<tool_call>{"name":"f","arguments":{"a":1,b:2}}</tool_call>)",
             {"", "b:2}}", {"f"}, {R"({"a": 1})"}}),
      hermes("no colon", R"(<tool_call>{"name":"f","arguments":{"a" 1}}</tool_call>)",
             {"", R"("a"1}})", {"f"}, {"{}"}}),
      hermes("a call behind it", "<tool_call>{x</tool_call>" + kHermesCall,
             {"", "{x", {"cook"}, {kHermesArguments}}),
      hermes("text behind it", R"(<tool_call>{"name":"f"}}x)", {"", "}x", {"f"}, {"{}"}}),
      hermes("cut in front of the name", "x<tool_call>\n{\"na", {"", "x\n{\"na", {}, {}}),
      hermes("cut in a string", R"(<tool_call>{"name":"f","arguments":{"a":["b\)",
             {"", "", {"f"}, {R"({"a": ["b"]})"}}),
      hermes("cut in a key", R"(<tool_call>{"name":"f","arguments":{"a":1,"b)",
             {"", "", {"f"}, {R"({"a": 1})"}}),
      hermes("cut in a number", R"(<tool_call>{"name":"f","arguments":{"a":12)",
             {"", "", {"f"}, {R"({"a": 12})"}}),
      hermes("cut behind a colon", R"(<tool_call>{"name":"f","arguments":{"a":)",
             {"", "", {"f"}, {"{}"}}),
      hermes("cut in a word", R"(<tool_call>{"name":"f","arguments":{"a": tru)",
             {"", "", {"f"}, {"{}"}}),
      hermes("cut in a word of a list", R"(<tool_call>{"name":"f","arguments":{"a":[1, nul)",
             {"", "", {"f"}, {R"({"a": [1]})"}}),
      hermes("cut behind the name", R"(<tool_call>{"name":"f","arguments":)",
             {"", R"({"name":"f","arguments":)", {}, {}}),
  };
}

void check(const std::vector<Case>& cases) {
  std::mt19937 random(7);
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const OutputParserOptions options{c.reasoning, c.parse_tools, tools(), c.form};
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

TEST(OutputParser, HermesCalls) {
  check(hermes_cases());
  check(hermes_strings());
}

TEST(OutputParser, HermesMalformed) { check(hermes_malformed()); }

TEST(OutputParser, HermesArgumentsStream) {
  OutputParser parser({false, true, nullptr, ToolForm::kHermes});
  parser.append(R"(<tool_call>{"name": "f", "arguments": {"a": ")");
  const std::vector<OutputPiece> pieces = parser.append("first");
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0], (OutputPiece{OutputPiece::Kind::kToolArguments, "first", 0}));
}

// The form that the template's own words ask for.
TEST(OutputParser, FormOfATemplate) {
  EXPECT_EQ(tool_form_of(R"('<tool_call>\n{\"name\": <function-name>, \"arguments\": <object>}')"),
            ToolForm::kHermes);
  EXPECT_EQ(tool_form_of("<tool_call>\n<function=example>\n"), ToolForm::kXml);
  EXPECT_EQ(tool_form_of("{{ messages }}"), ToolForm::kXml);
}

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
                                          "\xc3\xa9",
                                          "{\"name\": \"f\", ",
                                          "\"arguments\": {",
                                          "\"a\": ",
                                          "[",
                                          "\\u",
                                          "}",
                                          ","};
  std::mt19937 random(11);
  for (int round = 0; round < 6000; ++round) {
    std::string text;
    const int count = std::uniform_int_distribution<int>(1, 14)(random);
    for (int i = 0; i < count; ++i) text += parts[random() % parts.size()];
    const OutputParserOptions options{random() % 2 == 0, random() % 4 != 0, tools(),
                                      random() % 2 == 0 ? ToolForm::kXml : ToolForm::kHermes};
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
