// Normalisation form C as the PyPI package `tokenizers` computes it: Unicode 9 data; characters
// that came later are left alone. utf8proc supplies decompositions and compositions; the reordering
// is ours because utf8proc's is quadratic in the number of marks on one letter.
#pragma once

#include <string>
#include <string_view>

namespace gallop::text {

// True when `text` (valid UTF-8) is certainly in NFC already; false: to_nfc may change it.
bool is_surely_nfc(std::string_view text);

// The NFC of valid UTF-8, in time n log n.
std::string to_nfc(std::string_view text);

}  // namespace gallop::text
