// Fuzzes the Jinja interpreter: the input is a template, rendered over one fixed conversation with
// limits small enough that each run is quick.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/json.h"
#include "text/jinja/template.h"

namespace {

constexpr std::string_view kVariables = R"({
  "messages": [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Wörld 🚀"}, {"type": "image"}]},
    {"role": "assistant", "content": null, "reasoning_content": "r", "tool_calls": [
      {"function": {"name": "f", "arguments": {"a": 1, "b": [true, 2.5, {"c": null}]}}}]},
    {"role": "tool", "content": "ok"}],
  "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
  "s": "a b c", "l": [3, 1, 2], "d": {"k": "v", "n": -7}, "add_generation_prompt": true})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const gallop::Json kJson = *gallop::parse_json(kVariables);
  const auto parsed = gallop::text::jinja::Template::parse(
      std::string_view(reinterpret_cast<const char*>(data), size));
  if (!parsed.ok()) {
    CHECK(!parsed.error().message.empty());
    return 0;
  }
  gallop::text::jinja::Template::Variables variables;
  for (const auto& [name, value] : kJson.items()) variables.emplace_back(name, &value);
  gallop::text::jinja::Limits limits;
  limits.work = 200'000;
  limits.memory_bytes = 16u << 20;
  const auto text = parsed->render(variables, limits);
  if (text.ok()) CHECK_LE(text->size(), limits.memory_bytes);
  return 0;
}
