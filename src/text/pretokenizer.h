// Cuts text into the pieces that BPE works on: the `Split` and `ByteLevel` pre-tokenizers of a
// tokenizer.json. The known regexes run as hand-written scanners, linear in the text; other regexes
// as a SplitRegex, whose limits make it the only step that can fail.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/split_regex.h"

namespace gallop::text {

// The parts in which the known regexes differ.
struct SplitPattern {
  bool gpt2 = false;  // GPT-2's form: ` ?\p{L}+| ?\p{N}+|...`, contractions in lower case
  bool marks_join_letters = false;  // [\p{L}\p{M}] where older patterns have \p{L}
  size_t digits = 1;                // at most so many \p{N} a piece
};

// The scanner for a regex's source text; none when it is not a known one.
std::optional<SplitPattern> known_split_pattern(std::string_view regex);

// The end of the match that begins at `begin` (before the end of `text`, valid UTF-8). The known
// patterns match at every position.
size_t match_end(const SplitPattern& pattern, std::string_view text, size_t begin);

enum class SplitBehavior { kIsolated, kRemoved, kContiguous, kMergedWithPrevious, kMergedWithNext };

struct PreTokenizerStep {
  std::optional<SplitPattern> pattern = {};  // with neither this nor `regex` the piece stays whole
  std::shared_ptr<const SplitRegex> regex = {};
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;
  bool byte_level = false;        // then: each byte becomes a character of the GPT-2 alphabet
  bool add_prefix_space = false;  // with byte_level: before each piece that does not begin with ' '
};

class PreTokenizer {
 public:
  explicit PreTokenizer(std::vector<PreTokenizerStep> steps);

  // True when the pieces are raw bytes whose byte-level mapping is left to the caller, which is so
  // when the last step is a ByteLevel; false when they are characters of the vocabulary's alphabet.
  bool pieces_are_bytes() const { return pieces_are_bytes_; }

  // Storage of one text's pieces; reused from call to call.
  struct Pieces {
    std::vector<std::string_view> views;
    std::string buffers[2];  // what the views point into where a step changed the text
  };

  // Sets `pieces.views` to the pieces of `text` (valid UTF-8), none of them empty. The views live
  // as long as both arguments stay unchanged. An error is that of a regex that exceeds its limits.
  Result<void> split(std::string_view text, Pieces& pieces) const;

 private:
  std::vector<PreTokenizerStep> steps_;
  bool pieces_are_bytes_;
};

// The GPT-2 alphabet: the printable character that stands for each byte.
const char32_t* byte_characters();

// The bytes that a text in that alphabet stands for; none when a character is outside of it.
std::optional<std::string> bytes_of_characters(std::string_view text);

}  // namespace gallop::text
