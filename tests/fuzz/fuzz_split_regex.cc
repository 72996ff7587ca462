// A pre-tokenizer's regex from outside: any bytes are either refused or find matches that lie in
// order in the text, on its characters. Input: the regex, then, behind a zero byte, the text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/split_regex.h"
#include "text/unicode.h"

namespace {

// Short, so that a regex that takes its time does not take the fuzzer's.
constexpr size_t kMaxRegex = 200;
constexpr size_t kMaxText = 40;

// As tokenizer.json and encode() give it: UTF-8.
std::string valid(std::string_view bytes) {
  std::string text;
  gallop::text::append_lossy_utf8(text, bytes, true);
  return text;
}

bool begins_character(std::string_view text, size_t position) {
  return position == text.size() || (static_cast<uint8_t>(text[position]) & 0xC0) != 0x80;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = std::min(input.find('\0'), size);
  const std::string text = valid(input.substr(zero).substr(0, kMaxText));
  const auto regex =
      gallop::text::SplitRegex::make(valid(input.substr(0, zero).substr(0, kMaxRegex)));
  if (!regex.ok()) {
    CHECK(!regex.error().message.empty());
    return 0;
  }
  std::vector<gallop::text::SplitRegex::Match> matches;
  if (!regex->find(text, matches).ok()) return 0;
  size_t last = 0;
  for (const auto& [begin, end] : matches) {
    CHECK(begin >= last && begin <= end && end <= text.size());
    CHECK(begins_character(text, begin) && begins_character(text, end));
    last = end;
  }
  return 0;
}
