#include "text/pretokenizer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "text/unicode.h"

namespace gallop::text {
namespace {

struct KnownPattern {
  std::string_view regex;
  SplitPattern pattern;
};

constexpr KnownPattern kKnownPatterns[] = {
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|)"
     R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {.marks_join_letters = true}},  // Qwen3.5
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
     R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {}},  // Qwen2, Qwen3
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
     R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {.digits = 3}},  // Llama 3
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
     {.gpt2 = true}},
};

// A position in valid UTF-8 with the flags of the character there; no flags at the end.
class Cursor {
 public:
  Cursor(std::string_view text, size_t position)
      : text_(text), table_(char_flag_table()), position_(position) {
    read();
  }
  size_t position() const { return position_; }
  bool at_end() const { return position_ == text_.size(); }
  char32_t code() const { return code_; }
  bool is(int mask) const { return (flags_ & mask) != 0; }
  bool is_newline() const { return code_ == '\r' || code_ == '\n'; }

  void advance() {
    position_ += length_;
    read();
  }
  // Over all characters that have one of `mask`'s flags.
  void skip(int mask) {
    while (is(mask)) advance();
  }
  // Over all characters that have none of `mask`'s flags.
  void skip_without(int mask) {
    while (!at_end() && !is(mask)) advance();
  }
  void skip_newlines() {
    while (is_newline()) advance();
  }

 private:
  void read() {
    if (at_end()) {
      flags_ = 0;
      code_ = 0;
      length_ = 0;
      return;
    }
    const Character character = character_at(text_, position_);
    code_ = character.code;
    length_ = character.length;
    flags_ = table_[code_];
  }

  std::string_view text_;
  const uint8_t* table_;
  size_t position_;
  size_t length_ = 0;
  char32_t code_ = 0;
  uint8_t flags_ = 0;
};

// 's 't 're 've 'm 'll 'd at `begin`, where an apostrophe stands: the end, or 0. With `fold_case`
// as Oniguruma's (?i): Unicode simple case folding, in which U+017F (long s) equals s.
size_t contraction_end(std::string_view text, size_t begin, bool fold_case) {
  Cursor cursor(text, begin);
  const auto next_letter = [&]() -> char32_t {
    cursor.advance();
    const char32_t code = cursor.code();
    if (!fold_case) return code;
    if (code >= 'A' && code <= 'Z') return code + ('a' - 'A');
    return code == 0x17F ? U's' : code;
  };
  const char32_t first = next_letter();
  if (first == 's' || first == 't' || first == 'm' || first == 'd') {
    cursor.advance();
    return cursor.position();
  }
  const char32_t second = first == 'r' || first == 'v' ? U'e' : U'l';
  if (first != 'r' && first != 'v' && first != 'l') return 0;
  if (next_letter() != second) return 0;
  cursor.advance();
  return cursor.position();
}

// \s*[\r\n]+|\s+(?!\S)|\s+ at white space: up to the run's last line end; else the run without its
// last character where something follows; else the run.
size_t space_end(std::string_view text, size_t begin, bool newlines_split) {
  Cursor cursor(text, begin);
  size_t after_newline = 0;
  size_t last = begin;  // where the run's last character begins
  while (cursor.is(kSpace)) {
    last = cursor.position();
    const bool newline = cursor.is_newline();
    cursor.advance();
    if (newline) after_newline = cursor.position();
  }
  if (newlines_split && after_newline != 0) return after_newline;
  return cursor.at_end() || last == begin ? cursor.position() : last;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t gpt2_match_end(std::string_view text, size_t begin) {
  Cursor cursor(text, begin);
  if (cursor.code() == '\'') {
    const size_t end = contraction_end(text, begin, false);
    if (end != 0) return end;
  }
  if (cursor.code() == ' ') cursor.advance();
  if (cursor.at_end() || cursor.is(kSpace)) return space_end(text, begin, false);
  if (cursor.is(kLetter)) {
    cursor.skip(kLetter);
  } else if (cursor.is(kNumber)) {
    cursor.skip(kNumber);
  } else {
    cursor.skip_without(kSpace | kLetter | kNumber);
  }
  return cursor.position();
}

// The shared form of Qwen2, Qwen3.5 and Llama 3, where W is \p{L} or [\p{L}\p{M}]:
// (?i:'s|...)|[^\r\n\p{L}\p{N}]?W+|\p{N}{1,digits}| ?[^\sW\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
size_t qwen_match_end(const SplitPattern& pattern, std::string_view text, size_t begin) {
  const int letters = pattern.marks_join_letters ? kLetter | kMark : kLetter;
  Cursor cursor(text, begin);
  if (cursor.code() == '\'') {
    const size_t end = contraction_end(text, begin, true);
    if (end != 0) return end;
  }
  if (cursor.is(kNumber)) {
    for (size_t digit = 0; digit < pattern.digits && cursor.is(kNumber); ++digit) cursor.advance();
    return cursor.position();
  }
  Cursor next = cursor;  // behind the optional character before the letters
  if (!cursor.is(kLetter) && !cursor.is_newline()) next.advance();
  if (next.is(letters)) {
    next.skip(letters);
    return next.position();
  }
  // A mark on its own: the optional character gives it back to [\p{L}\p{M}]+.
  if (cursor.is(letters)) return next.position();
  if (cursor.code() == ' ') cursor.advance();
  if (cursor.at_end() || cursor.is(kSpace | kNumber)) return space_end(text, begin, true);
  cursor.skip_without(kSpace | kNumber | letters);
  cursor.skip_newlines();
  return cursor.position();
}

struct Range {
  size_t begin;
  size_t end;
  bool match;
};

// The pieces that `behavior` makes of alternating matches and gaps.
std::vector<Range> merge_ranges(const std::vector<Range>& ranges, SplitBehavior behavior) {
  std::vector<Range> merged;
  bool joins = false;  // the next range is added to the last piece
  const bool backwards = behavior == SplitBehavior::kMergedWithNext;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const Range& range = backwards ? ranges[ranges.size() - 1 - i] : ranges[i];
    const Range* previous = i == 0 ? nullptr : (backwards ? &range + 1 : &range - 1);
    const bool previous_match = previous != nullptr && previous->match;
    if (behavior == SplitBehavior::kContiguous) {
      joins = previous != nullptr && previous->match == range.match;
    } else {
      joins = range.match && !previous_match && !merged.empty();
    }
    if (!joins) {
      merged.push_back(range);
    } else if (backwards) {
      merged.back().begin = range.begin;
    } else {
      merged.back().end = range.end;
    }
  }
  if (backwards) std::reverse(merged.begin(), merged.end());
  return merged;
}

// The matches in `piece` and the gaps between them, in order.
Result<std::vector<Range>> find_ranges(const PreTokenizerStep& step, std::string_view piece) {
  std::vector<Range> ranges;
  if (step.pattern) {
    for (size_t begin = 0; begin < piece.size(); begin = ranges.back().end) {
      ranges.push_back({begin, match_end(*step.pattern, piece, begin), !step.invert});
    }
    return ranges;
  }
  std::vector<SplitRegex::Match> matches;
  RETURN_IF_ERROR(step.regex->find(piece, matches));
  size_t end = 0;
  for (const SplitRegex::Match& match : matches) {
    if (match.begin > end) ranges.push_back({end, match.begin, step.invert});
    ranges.push_back({match.begin, match.end, !step.invert});
    end = match.end;
  }
  if (end < piece.size()) ranges.push_back({end, piece.size(), step.invert});
  return ranges;
}

Result<void> split_piece(const PreTokenizerStep& step, std::string_view piece,
                         std::vector<std::string_view>& out) {
  if (step.pattern && step.behavior == SplitBehavior::kIsolated) {
    for (size_t begin = 0; begin < piece.size();) {
      const size_t end = match_end(*step.pattern, piece, begin);
      out.push_back(piece.substr(begin, end - begin));
      begin = end;
    }
    return {};
  }
  ASSIGN_OR_RETURN(std::vector<Range> ranges, find_ranges(step, piece));
  const bool removes = step.behavior == SplitBehavior::kRemoved;
  if (!removes && step.behavior != SplitBehavior::kIsolated) {
    ranges = merge_ranges(ranges, step.behavior);
  }
  for (const Range& range : ranges) {
    if (range.begin == range.end || (removes && range.match)) continue;
    out.push_back(piece.substr(range.begin, range.end - range.begin));
  }
  return {};
}

// Copies the views' text into `buffer`, changed by `append(piece, buffer)`, and points them there.
template <typename Append>
void rewrite(std::vector<std::string_view>& views, std::string& buffer, Append append) {
  std::vector<size_t> ends;
  ends.reserve(views.size());
  buffer.clear();
  for (const std::string_view view : views) {
    append(view, buffer);
    ends.push_back(buffer.size());
  }
  size_t begin = 0;
  for (size_t i = 0; i < views.size(); ++i) {
    views[i] = std::string_view(buffer).substr(begin, ends[i] - begin);
    begin = ends[i];
  }
}

struct ByteAlphabet {
  std::array<char32_t, 256> characters;
  std::array<int16_t, 512> bytes;  // -1: no byte
};

// Printable Latin-1 bytes stand for themselves, the others for U+0100 and on, in order.
// Source: GPT-2, encoder.py, bytes_to_unicode.
ByteAlphabet make_alphabet() {
  ByteAlphabet alphabet;
  alphabet.bytes.fill(-1);
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    const char32_t character = printable ? byte : next++;
    alphabet.characters[byte] = character;
    alphabet.bytes[character] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

const ByteAlphabet& alphabet() {
  static const ByteAlphabet instance = make_alphabet();
  return instance;
}

}  // namespace

std::optional<SplitPattern> known_split_pattern(std::string_view regex) {
  for (const KnownPattern& known : kKnownPatterns) {
    if (known.regex == regex) return known.pattern;
  }
  return std::nullopt;
}

size_t match_end(const SplitPattern& pattern, std::string_view text, size_t begin) {
  return pattern.gpt2 ? gpt2_match_end(text, begin) : qwen_match_end(pattern, text, begin);
}

const char32_t* byte_characters() { return alphabet().characters.data(); }

std::optional<std::string> bytes_of_characters(std::string_view text) {
  std::string bytes;
  for (size_t position = 0; position < text.size();) {
    const Character character = character_at(text, position);
    const auto& known = alphabet().bytes;
    if (character.code >= known.size() || known[character.code] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(known[character.code]));
    position += character.length;
  }
  return bytes;
}

PreTokenizer::PreTokenizer(std::vector<PreTokenizerStep> steps)
    : steps_(std::move(steps)), pieces_are_bytes_(!steps_.empty() && steps_.back().byte_level) {}

Result<void> PreTokenizer::split(std::string_view text, Pieces& pieces) const {
  std::vector<std::string_view>& views = pieces.views;
  views.clear();
  if (text.empty()) return {};
  views.push_back(text);
  size_t target = 0;  // the buffer that the next rewrite fills; the views may lie in the other one
  const auto change = [&](auto append) {
    rewrite(views, pieces.buffers[target], append);
    target = 1 - target;
  };
  std::vector<std::string_view> parts;
  for (const PreTokenizerStep& step : steps_) {
    if (step.add_prefix_space) {
      change([](std::string_view piece, std::string& out) {
        if (!piece.starts_with(' ')) out.push_back(' ');
        out.append(piece);
      });
    }
    if (step.pattern || step.regex != nullptr) {
      parts.clear();
      for (const std::string_view view : views) RETURN_IF_ERROR(split_piece(step, view, parts));
      views.swap(parts);
    }
    if (step.byte_level && &step != &steps_.back()) {
      change([](std::string_view piece, std::string& out) {
        for (const char byte : piece)
          append_utf8(out, byte_characters()[static_cast<uint8_t>(byte)]);
      });
    }
  }
  return {};
}

}  // namespace gallop::text
