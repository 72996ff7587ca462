#include "text/split_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <chrono>
#include <cstdint>
#include <utility>

#include "text/regex_translation.h"
#include "text/unicode.h"

namespace gallop::text {
namespace {

using Clock = std::chrono::steady_clock;

// Steps of one attempt at a match: Oniguruma's own default limit.
constexpr uint32_t kMaxSteps = 10'000'000;
constexpr uint32_t kMaxHeapKib = 65'536;
constexpr std::chrono::seconds kMaxTime{10};  // for one text; usual regexes take 0.1 s per 4 MB
constexpr size_t kAttemptsBetweenClockReads =
    64;  // a read of the clock costs as much as an attempt

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* value) const {
    kFree(value);
  }
};
using Code = std::unique_ptr<pcre2_code, Freed<pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>>;

std::string message_of(int code) {
  PCRE2_UCHAR text[128];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct SplitRegex::Program {
  std::string source;
  std::vector<uint8_t> letters;
  Code code;
  MatchContext limits;

  // The end of the match that begins at letter `begin`, PCRE2_ERROR_NOMATCH or another error.
  int64_t match(std::string_view text, size_t begin, pcre2_match_data* data) const {
    const auto* const subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int result = pcre2_match(code.get(), subject, text.size(), begin, 0, data, limits.get());
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter has the heap
      result =
          pcre2_match(code.get(), subject, text.size(), begin, PCRE2_NO_JIT, data, limits.get());
    }
    return result < 0 ? result : static_cast<int64_t>(pcre2_get_ovector_pointer(data)[1]);
  }

  Error error(std::string_view what, size_t byte) const {
    return Error{
        fmt::format("the pre_tokenizer's regex {} at byte {} of a text: {}", source, byte, what)};
  }
};

SplitRegex::SplitRegex(std::unique_ptr<Program> program) : program_(std::move(program)) {}
SplitRegex::SplitRegex(SplitRegex&&) noexcept = default;
SplitRegex& SplitRegex::operator=(SplitRegex&&) noexcept = default;
SplitRegex::~SplitRegex() = default;

Result<SplitRegex> SplitRegex::make(std::string_view regex) {
  const auto refused = [&](std::string_view what) {
    return Error{fmt::format("the regex {} is not supported: {}", regex, what)};
  };
  Result<RegexTranslation> translation = translate_regex(regex);
  if (!translation.ok()) return refused(translation.error().message);
  auto program = std::make_unique<Program>();
  program->source = regex;
  program->letters = std::move(translation->letters);
  int code = 0;
  size_t offset = 0;
  program->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translation->pattern.data()),
                                    translation->pattern.size(), PCRE2_ANCHORED, &code, &offset,
                                    nullptr));
  if (program->code == nullptr) return refused(message_of(code));
  program->limits.reset(pcre2_match_context_create(nullptr));
  if (program->limits == nullptr) return refused("no memory");
  pcre2_set_match_limit(program->limits.get(), kMaxSteps);
  pcre2_set_heap_limit(program->limits.get(), kMaxHeapKib);
  // Where the library has no JIT compiler it interprets.
  static_cast<void>(pcre2_jit_compile(program->code.get(), PCRE2_JIT_COMPLETE));
  return SplitRegex(std::move(program));
}

// As the loop of `tokenizers`: leftmost match by leftmost match, each attempt anchored here so that
// the clock is read between them.
Result<void> SplitRegex::find(std::string_view text, std::vector<Match>& matches) const {
  matches.clear();
  std::string letters;
  letters.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const Character character = character_at(text, position);
    letters.push_back(static_cast<char>(program_->letters[character.code]));
    position += character.length;
  }
  const MatchData data(pcre2_match_data_create(1, nullptr));
  if (data == nullptr) return program_->error("no memory", 0);
  const Clock::time_point deadline = Clock::now() + kMaxTime;
  size_t byte = 0;  // of the letter `at`
  const auto step = [&] { byte += character_at(text, byte).length; };
  size_t attempts = 0;
  size_t last_end = letters.size() + 1;  // of the last match; at first none
  for (size_t at = 0; at <= letters.size();) {
    if (++attempts % kAttemptsBetweenClockReads == 0 && Clock::now() > deadline) {
      return program_->error(fmt::format("over its limit of {} s", kMaxTime.count()), byte);
    }
    const int64_t end = program_->match(letters, at, data.get());
    if (end < 0 && end != PCRE2_ERROR_NOMATCH) {
      return program_->error(message_of(static_cast<int>(end)), byte);
    }
    const auto match_end = static_cast<size_t>(end);
    if (end < 0 || (match_end == at && at == last_end)) {
      if (at < letters.size()) step();
      ++at;
      continue;
    }
    const size_t begin = byte;
    for (; at < match_end; ++at) step();
    matches.push_back({begin, byte});
    last_end = at;
  }
  return {};
}

}  // namespace gallop::text
