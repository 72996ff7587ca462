// tokenizer.json from outside: any bytes either give a tokenizer that encodes and decodes, or an
// error. Input: the tokenizer.json, then, behind a zero byte, the tokenizer_config.json.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace {

constexpr std::string_view kText =
    "Hello, wo\u0301rld! <|im_start|>  \t\n 12 don't\u00a0\u4f60\u597d\U0001F680 ab abc "
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u0301\u0323 <x> </think>";

void check(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const std::string_view config =
      zero == std::string_view::npos ? std::string_view() : input.substr(zero + 1);
  const auto tokenizer = gallop::text::Tokenizer::from_text(input.substr(0, zero), config);
  if (!tokenizer.ok()) {
    check(!tokenizer.error().message.empty());
    return 0;
  }
  const auto ids = tokenizer->encode(kText, true);
  if (!ids.ok()) {  // a regex over its limits
    check(!ids.error().message.empty());
    return 0;
  }
  const auto text = tokenizer->decode(*ids, false);
  check(text.ok());
  gallop::text::Detokenizer stream(tokenizer.value(), false);
  std::string streamed;
  for (const int32_t id : *ids) streamed += stream.append(id);
  check(streamed + stream.finish() == *text);
  // The input itself as text.
  const auto own_ids = tokenizer->encode(input.substr(0, 4096), false);
  if (own_ids.ok()) check(tokenizer->decode(*own_ids, true).ok());
  return 0;
}
