// A regex that a tokenizer.json splits with and for which there is no hand-written scanner: found
// by PCRE2 as the PyPI package `tokenizers` finds it by Oniguruma. Time is bounded: steps of one
// match, and seconds of one text.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace gallop::text {

class SplitRegex {
 public:
  // An error quotes the regex and says what of it is not supported.
  static Result<SplitRegex> make(std::string_view regex);

  SplitRegex(SplitRegex&&) noexcept;
  SplitRegex& operator=(SplitRegex&&) noexcept;
  ~SplitRegex();

  struct Match {
    size_t begin;
    size_t end;  // may be `begin`
  };
  // Sets `matches` to all of `text` (valid UTF-8), in bytes. An empty match right behind a match is
  // none. A text on which the regex exceeds its limits is an error that quotes the regex. Safe from
  // several threads at once.
  Result<void> find(std::string_view text, std::vector<Match>& matches) const;

 private:
  struct Program;
  explicit SplitRegex(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace gallop::text
