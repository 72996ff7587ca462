// Reads a regex in Oniguruma's syntax, the one of `tokenizers`, and writes it for PCRE2 over an
// alphabet of at most 255 letters: the classes of code points that no character, class or property
// of the regex tells apart. So PCRE2 sees structure alone, and neither its Unicode version nor its
// reading of \h, \w, {,n} or $ can differ from Oniguruma's.
// Whatever the two would match differently, and whatever is not known here, is an error by name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace gallop::text {

struct RegexTranslation {
  std::string pattern;           // for PCRE2 without UTF, anchored by its caller
  std::vector<uint8_t> letters;  // of each code point: its letter, from 1
};

// Errors say what is wrong and at which byte of `regex` (valid UTF-8), but do not quote it.
Result<RegexTranslation> translate_regex(std::string_view regex);

}  // namespace gallop::text
