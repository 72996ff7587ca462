// A model's answer, with tool calls of both forms: its pieces do not depend on how the text was
// split, and the arguments of its tool calls are JSON. Input: a byte of options, a byte that seeds
// the split, the text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/json.h"
#include "text/output_parser.h"
#include "text/tool_arguments.h"
#include "text/unicode.h"

namespace {

using gallop::Json;
using gallop::text::OutputParser;
using gallop::text::OutputPiece;
using gallop::text::ToolForm;

// Shorter than a number that overflows a double, which nlohmann's parser refuses.
constexpr size_t kMaxText = 300;

constexpr std::string_view kTools = R"([{"type": "function", "function": {"name": "f",
  "parameters": {"type": "object", "properties": {
    "s": {"type": "string"}, "i": {"type": "integer"}, "n": {"type": "number"},
    "b": {"type": "boolean"}, "u": {"anyOf": [{"type": "null"}, {"type": "integer"}]},
    "a": {"type": "array", "items": {"type": "integer"}},
    "o": {"type": "object", "properties": {"k": {"type": ["boolean", "string"]}}}}}}}])";

// By nlohmann's grammar: ours refuses integers of more than 64 bits, which are JSON, too.
void check_json(std::string_view text) { CHECK(Json::accept(text)); }

// What the pieces of each kind and call add up to, in the order in which they begin.
using Answer = std::vector<OutputPiece>;

void add(std::vector<OutputPiece> pieces, Answer& answer) {
  for (OutputPiece& piece : pieces) {
    if (!answer.empty() && answer.back().kind == piece.kind &&
        answer.back().tool_index == piece.tool_index &&
        piece.kind != OutputPiece::Kind::kToolName) {
      answer.back().text += piece.text;
    } else {
      answer.push_back(std::move(piece));
    }
  }
}

// Pieces of at most `most` bytes.
Answer parsed(const gallop::text::OutputParserOptions& options, std::string_view text,
              uint32_t seed, size_t most) {
  std::minstd_rand random(seed);
  OutputParser parser(options);
  Answer answer;
  while (!text.empty()) {
    const size_t size = std::min<size_t>(text.size(), 1 + random() % most);
    add(parser.append(text.substr(0, size)), answer);
    text.remove_prefix(size);
  }
  add(parser.finish(), answer);
  return answer;
}

void check_arguments(const Answer& answer) {
  std::map<int32_t, std::string> calls;
  for (const OutputPiece& piece : answer) {
    if (piece.kind == OutputPiece::Kind::kToolName) CHECK(!calls.contains(piece.tool_index));
    if (piece.kind == OutputPiece::Kind::kToolName) calls[piece.tool_index];
    if (piece.kind == OutputPiece::Kind::kToolArguments) calls[piece.tool_index] += piece.text;
  }
  for (const auto& [index, arguments] : calls) check_json(arguments);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Json kToolList = *gallop::parse_json(kTools);
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2,
                              std::min(size - 2, kMaxText));
  const gallop::text::OutputParserOptions options{
      (data[0] & 1) != 0, (data[0] & 2) != 0, kToolList,
      (data[0] & 4) != 0 ? ToolForm::kHermes : ToolForm::kXml};
  const Answer whole = parsed(options, text, 1, 1u << 30);
  CHECK(parsed(options, text, data[1], 8) == whole);
  CHECK(parsed(options, text, 1, 1) == whole);
  if (!gallop::text::is_valid_utf8(text)) return 0;  // the detokenizer gives nothing else
  check_arguments(whole);
  for (const char* key : {"s", "i", "n", "b", "u", "a", "o", "none"}) {
    check_json(
        gallop::text::coerce_argument(text, gallop::text::parameter_schema(kToolList, "f", key)));
  }
  return 0;
}
