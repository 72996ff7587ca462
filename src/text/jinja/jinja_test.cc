#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "text/jinja/template.h"

namespace gallop::text::jinja {
namespace {

Json data() {
  return *parse_json(R"({"s": "Hello", "l": [3, 1, 2], "d": {"b": 1, "a": null},
                          "big": 18446744073709551615})");
}

Result<std::string> render(const std::string& source, const Limits& limits = {}) {
  const Result<Template> parsed = Template::parse(source);
  if (!parsed.ok()) return parsed.error();
  const Json json = data();
  Template::Variables variables;
  for (const auto& [name, value] : json.items()) variables.emplace_back(name, &value);
  return parsed->render(variables, limits);
}

std::string text_of(const std::string& source) {
  const Result<std::string> result = render(source);
  return result.ok() ? *result : "error: " + result.error().message;
}

std::string error_of(const std::string& source, const Limits& limits = {}) {
  const Result<std::string> result = render(source, limits);
  return result.ok() ? "rendered: " + result->substr(0, 80) : result.error().message;
}

TEST(Jinja, TrimsAndStripsBlocksAsTransformersSets) {
  EXPECT_EQ(text_of("a\n  {% if true %}\n  b\n  {% endif %}\nc\n"), "a\n  b\nc");
  EXPECT_EQ(text_of("x {%- if true -%} \n y {%- endif %} z"), "xy z");
  EXPECT_EQ(text_of("  {%+ if true %}\nb{% endif +%}\nc"), "  b\nc");
  EXPECT_EQ(text_of("a\n {# note #}\nb\n\n"), "a\nb\n");
  EXPECT_EQ(text_of("{% raw %}{{ x }}{% endraw %}"), "{{ x }}");
  EXPECT_EQ(text_of("a\r\nb\rc"), "a\nb\nc");
}

TEST(Jinja, PrintsValuesAsPython) {
  EXPECT_EQ(text_of("{{ [1, 2.0, true, none, 'it\\'s', {'k': (1,)}] }}"),
            "[1, 2.0, True, None, \"it's\", {'k': (1,)}]");
  EXPECT_EQ(text_of("{{ 1e16 }} {{ 1e15 }} {{ 0.1 + 0.2 }} {{ 1e-5 }} {{ 7 / 2 }} {{ -0.0 }}"),
            "1e+16 1000000000000000.0 0.30000000000000004 1e-05 3.5 -0.0");
  EXPECT_EQ(text_of("{{ d }}|{{ missing }}|{{ none }}"), "{'b': 1, 'a': None}||None");
}

// tests/text_oracle/test_str_methods.py asks about every character; these need no Python.
TEST(Jinja, MapsCaseAsPython) {
  EXPECT_EQ(text_of("{{ 'ΟΔΟΣ'.lower() }} {{ '²'.isalnum() }} {{ 'ﬁ'|upper }} {{ 'ß'.title() }}"),
            "οδος True FI Ss");
  EXPECT_EQ(text_of("{{ 'ΣΑΣ Σ'.lower() }} {{ 'ŉ'.upper() }} {{ 'ǆΣ'.capitalize() }} "
                    "{{ 'İß'.swapcase() }} {{ 'Straße'.casefold() }} {{ 'ὈΔΥΣΣΕΎΣ-ἄλφα'|title }}"),
            "σας σ ʼN ǅς i̇SS strasse Ὀδυσσεύς-Ἄλφα");
  EXPECT_EQ(text_of("{{ '²'.isdigit() }} {{ '½'.isnumeric() }} {{ '²'.isdecimal() }} "
                    "{{ 'ª'.islower() }} {{ 'ǅ'.isupper() }} {{ ''.isprintable() }}"),
            "True True False True False True");
}

TEST(Jinja, BatchesAsJinja) {
  EXPECT_EQ(text_of("{{ l|batch(0)|list }} {{ l|batch(-1)|list }} {{ l|batch(2, 'x')|list }} "
                    "{{ l|batch(0, 'x')|list }}"),
            "[[], [3, 1, 2]] [[3, 1, 2]] [[3, 1], [2, 'x']] [[], [3, 1, 2]]");
}

TEST(Jinja, ReachesCharactersFromBothEnds) {
  EXPECT_EQ(text_of("{% set t = 'añb🚀é' %}{{ t[0] }}{{ t[3] }}{{ t[-1] }}{{ t[-4] }} {{ t[1:4] }} "
                    "{{ t[::-1] }} {{ t[::2] }} {{ t[-2::-2] }} {{ t[5:] }}|{{ t[9] is defined }}"),
            "a🚀éñ ñb🚀 é🚀bña abé 🚀ñ |False");
}

TEST(Jinja, WritesJsonAsTransformers) {
  EXPECT_EQ(text_of("{{ {'b': 'é<&', 'a': [1, 2.0, none]}|tojson }}"),
            R"({"b": "é<&", "a": [1, 2.0, null]})");
  EXPECT_EQ(text_of("{{ d|tojson(indent=1, sort_keys=true) }}"), "{\n \"a\": null,\n \"b\": 1\n}");
  EXPECT_EQ(text_of("{{ '\\x7fé🚀'|tojson(ensure_ascii=true) }}"),
            "\"\\u007f\\u00e9\\ud83d\\ude80\"");
  EXPECT_EQ(text_of("{{ [1]|tojson(separators=(',', ':')) }}{{ missing|tojson }}"),
            "error: chat template, line 1: Object of type Undefined is not JSON serializable");
}

TEST(Jinja, KeepsScopesApart) {
  EXPECT_EQ(text_of("{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}"),
            "4231");
  EXPECT_EQ(text_of("{% set n = namespace(x=0) %}{% for i in l %}{% set n.x = n.x + i %}"
                    "{% endfor %}{{ n.x }}"),
            "6");
  EXPECT_EQ(text_of("{% macro m(a, b=a) %}{{ a }}{{ b }}{{ y }}{% endmacro %}{% set y = 7 %}"
                    "{{ m(1) }}{{ m(1, b=2) }}"),
            "117127");
}

TEST(Jinja, RunsLoops) {
  EXPECT_EQ(text_of("{% for x in l if x > 1 %}{{ loop.index }}{{ x }}{{ loop.last }};{% else %}no"
                    "{% endfor %}"),
            "13False;22True;");
  EXPECT_EQ(text_of("{% for k, v in d|items %}{{ k }}={{ v }} {% endfor %}"), "b=1 a=None ");
  EXPECT_EQ(text_of("{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}"
                    "{% if x > 2 %}{% break %}{% endif %}{{ x }}{% endfor %}"),
            "02");
  EXPECT_EQ(text_of("{% set g = l|map('string') %}{{ g|join }}|{{ g|join }}"), "312|");
}

TEST(Jinja, NamesTheLineOfAnError) {
  EXPECT_EQ(error_of("a\n\n{{ missing.x }}"), "chat template, line 3: 'missing' is undefined");
  EXPECT_EQ(error_of("\n{{ d.zz.y }}"),
            "chat template, line 2: 'dict object' has no attribute 'zz'");
  EXPECT_EQ(error_of("\n\n{% if l %}\n{{ raise_exception('no user') }}{% endif %}"),
            "chat template, line 4: no user");
  EXPECT_EQ(error_of("x\n{% include 'y' %}"),
            "chat template, line 2: the statement {% include %} is not known here");
  EXPECT_EQ(error_of("x\n{{ 1|nope }}"), "chat template, line 2: No filter named 'nope'.");
  EXPECT_EQ(error_of("\n{% for x in l %}"),
            "chat template, line 2: expected {% endfor %}, found the end of the template");
}

TEST(Jinja, RefusesToChangeData) {
  EXPECT_EQ(error_of("{{ l.append(1) }}"),
            "chat template, line 1: access to attribute 'append' of 'list' object is unsafe");
  EXPECT_NE(error_of("{% set d.x = 1 %}").find("no namespace"), std::string::npos);
}

// Tool schemas bound unsigned numbers so: they must reach the prompt as they are.
TEST(Jinja, PassesLargeIntegersOn) {
  EXPECT_EQ(text_of("{{ big }} {{ [big] }} {{ {'maximum': big}|tojson }} {{ {big: 1}|tojson }}"),
            "18446744073709551615 [18446744073709551615] {\"maximum\": 18446744073709551615} "
            "{\"18446744073709551615\": 1}");
  EXPECT_EQ(text_of("{{ big is integer }} {{ big is number }} {{ big is string }} {{ big == big }} "
                    "{{ big == 1 }} {{ big|int }} {{ big|float }} {{ big in [1, big] }}"),
            "True True False True False 18446744073709551615 1.8446744073709552e+19 True");
  EXPECT_NE(error_of("{{ big + 1 }}").find("unsupported operand"), std::string::npos);
  EXPECT_NE(error_of("{{ big == 1.5 }}").find("beyond 64-bit"), std::string::npos);
  EXPECT_NE(error_of("{{ big < 1 }}").find("not supported between"), std::string::npos);
}

TEST(Jinja, RefusesIntegersBeyond64Bits) {
  EXPECT_EQ(text_of("{{ 9223372036854775807 }}"), "9223372036854775807");
  EXPECT_NE(error_of("{{ 9223372036854775807 + 1 }}").find("beyond 64-bit"), std::string::npos);
  EXPECT_NE(error_of("{{ 2 ** 64 }}").find("beyond 64-bit"), std::string::npos);
  EXPECT_NE(error_of("{{ 9223372036854775808 }}").find("beyond 64 bits"), std::string::npos);
}

TEST(JinjaLimits, EndTime) {
  Limits limits;
  limits.time_ms = 50;
  const std::string nest =
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
  EXPECT_NE(error_of(nest, limits).find("takes longer than 50 ms"), std::string::npos);
  // Each level doubles the work of comparing the two.
  const std::string doubling =
      "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}"
      "{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}";
  EXPECT_NE(error_of(doubling, limits).find("takes longer than 50 ms"), std::string::npos);
}

// What goes through a whole value: it counts as that much work, also where nothing is made of it.
constexpr const char* kScans =
    "s.strip(); a.strip('x'); 'x'.strip(a); a.split('y'); a.split(); a.rsplit('y'); "
    "a.splitlines(); a.partition('y'); a.rpartition('y'); a.replace('y', ''); "
    "a.replace('x', ''); a.find('y'); a.rfind('y'); u.find('y', 5, 7); a.count('x'); "
    "a.upper(); a|title; a.isalpha(); a.isupper(); a.startswith(b); a.endswith((b,)); "
    "a.removeprefix(b); a == b; a < b; 'y' in a; a in [b, b]; a is sameas b; u[9]; u|length; "
    "a[1:]; a|tojson; {a: 1}[b]; {a: 1}.get(b); b in {a: 1}; {}[a]; a is filter; a is test; "
    "a is lower; a|int; a|float; s|int; a|wordcount; a|trim; a|escape; a|truncate(499990); "
    "a % (); a.format(1); a|reverse; [a]|unique|list; l|join; l == l[:]; l|sort; l|max; "
    "l|sum; l|select|list; l|batch(9)|list; l|groupby('x', 0); l|reverse|list; 9 in l; "
    "l.count(9)";

TEST(JinjaLimits, CountEveryScan) {
  Limits limits;
  limits.time_ms = 60'000;
  limits.work = 400'000;
  const std::string setup =
      "{% set a = 'x' * 1000 * 500 %}{% set b = a ~ '' %}{% set s = ' ' * 1000 * 500 %}"
      "{% set u = '\u20ac' * 1000 * 100 %}{% set l = [0] * 10 ** 3 %}"
      "{% for i in range(1000) %}{% if ";
  std::istringstream scans(kScans);
  for (std::string scan; std::getline(scans, scan, ';');) {
    EXPECT_EQ(error_of(setup + scan + " %}{% endif %}{% endfor %}", limits),
              "chat template, line 1: the template takes too many steps")
        << scan;
  }
  EXPECT_EQ(error_of(setup + "0 %}{% endif %}{% endfor %}", limits), "rendered: ");
}

TEST(JinjaLimits, BoundTexts) {
  Limits limits;
  limits.time_ms = 60'000;  // the memory's limit must come first on a busy machine, too
  for (const char* source :
       {"{{ 'a' * 10 ** 9 }}", "{{ 'a' * 10 ** 18 * 1 }}", "{{ [0] * 10 ** 12 }}",
        "{{ [0] * 10 ** 18 }}", "{% for i in range(99) %}{{ 'a' * 10 ** 6 }}{% endfor %}",
        // Nested outputs count together.
        "{% macro m() %}{{ 'a' * 2 * 10 ** 7 }}{% endmacro %}{{ 'b' * 2 * 10 ** 7 }}{{ m() }}",
        "{{ 'x'.ljust(10 ** 10) }}", "{{ 'x'.center(9 * 10 ** 18, '\u20ac') }}",
        "{{ 'x'.zfill(9 * 10 ** 18) }}", "{{ 'x'|indent(9 * 10 ** 18) }}",
        "{{ [1]|tojson(indent=9 * 10 ** 18) }}", "{{ [1]|batch(9 * 10 ** 18, 0)|list }}"}) {
    EXPECT_NE(error_of(source, limits).find("needs more than 67108864 bytes of memory"),
              std::string::npos)
        << source << ": " << error_of(source, limits);
  }
  EXPECT_NE(error_of("{{ range(10 ** 9) }}", limits).find("Range too big"), std::string::npos);
}

TEST(JinjaLimits, BoundMemory) {
  Limits limits;
  limits.memory_bytes = 32 << 20;
  const std::string grow =
      "{% set n = namespace(x=[]) %}{% for i in range(99) %}"
      "{% set n.x = n.x + ['a' * 1000000 ~ i] %}{% endfor %}";
  EXPECT_NE(error_of(grow, limits).find("needs more than"), std::string::npos);
}

TEST(JinjaLimits, GiveMemoryBack) {
  Limits limits;
  limits.time_ms = 60'000;
  limits.memory_bytes = 4 << 20;
  // Some 10 MB go through the hands of each, never more than a few hundred KB at a time.
  for (const char* body :
       {"{% set x = 'a' * 10 ** 5 %}", "{% set x = ('a ' * 10 ** 3).split() %}",
        "{% set n = namespace(x=[0] * 10 ** 4) %}{% set n.x = none %}",
        "{% set x %}{{ 'a' * 10 ** 5 }}{% endset %}", "{% if 'a' * 10 ** 5 ~ 'b' %}{% endif %}",
        "{% set x = {'a' * 10 ** 5: {'b': 'c' * 10 ** 5}} %}"}) {
    const std::string source = "{% for i in range(100) %}" + std::string(body) + "{% endfor %}";
    EXPECT_EQ(error_of(source, limits), "rendered: ") << body;
  }
}

TEST(JinjaLimits, ShortenWhatMessagesQuote) {
  EXPECT_LT(error_of("{{ raise_exception('\u20ac' * 10 ** 6) }}").size(), 5000);
  EXPECT_LT(error_of("{{ {}['a' * 10 ** 6].b }}").size(), 5000);
  EXPECT_LT(error_of("{{ [1]|map('a' * 10 ** 6) }}").size(), 5000);
}

TEST(JinjaLimits, BoundDates) {
  EXPECT_EQ(text_of("{{ strftime_now('%4095Y')|length }}"), "4095");
  EXPECT_NE(error_of("{{ strftime_now('%4096Y') }}").find("longer than 4095 bytes"),
            std::string::npos);
}

TEST(JinjaLimits, BoundDepth) {
  EXPECT_NE(error_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").find("too deeply"),
            std::string::npos);
  const std::string deep = std::string(100'000, '(') + "1" + std::string(100'000, ')');
  EXPECT_NE(error_of("{{ " + deep + " }}").find("nests deeper"), std::string::npos);
  std::string sum = "{{ 1";
  for (int i = 0; i < 100'000; ++i) sum += "+1";
  EXPECT_NE(error_of(sum + " }}").find("nests deeper"), std::string::npos);
  std::string blocks;
  for (int i = 0; i < 10'000; ++i) blocks += "{% if 1 %}";
  EXPECT_NE(error_of(blocks).find("nests deeper"), std::string::npos);
  EXPECT_NE(error_of("{% set n = namespace(x=[]) %}{% for i in range(9999) %}"
                     "{% set n.x = [n.x] %}{% endfor %}")
                .find("nested deeper"),
            std::string::npos);
}

TEST(JinjaLimits, FreesCycles) {
  // ASan's leak check is what this is for.
  EXPECT_EQ(
      text_of("{% set n = namespace() %}{% set n.me = n %}{% macro f() %}{{ n }}{% endmacro %}"
              "{% set n.f = f %}ok"),
      "ok");
  EXPECT_NE(error_of("{% set n = namespace() %}{% set n.me = [n] %}{{ n }}").find("too deeply"),
            std::string::npos);
}

TEST(Jinja, RendersFromSeveralThreads) {
  const auto parsed = Template::parse("{% for x in range(1000) %}{{ x ~ 'a' }}{% endfor %}");
  ASSERT_TRUE(parsed.ok());
  const std::string expected = *parsed->render({});
  std::vector<std::string> results(4);
  std::vector<std::thread> threads;
  for (std::string& result : results) {
    threads.emplace_back([&] { result = *parsed->render({}); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace gallop::text::jinja
