// Added tokens: literal texts that become one id before or after normalising, whatever BPE would
// make of them. The rules of matching and of giving ids are those of `tokenizers`
// (added_vocabulary.rs), oddities included, because ids must agree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/result.h"

namespace gallop::text {

struct AddedToken {
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space behind it
  bool normalized = false;   // its normalised form is matched in normalised text
  bool special = false;

  bool operator==(const AddedToken&) const = default;
};

// Finds the longest of a set of literals at each position.
class LiteralTrie {
 public:
  LiteralTrie();
  // False when the literal is there already; then nothing changes.
  bool insert(std::string_view literal, int32_t value);

  struct Match {
    size_t begin;
    size_t end;
    int32_t value;
  };
  // The leftmost match that begins at or after `begin`, the longest there.
  std::optional<Match> find(std::string_view text, size_t begin) const;

 private:
  struct Node {
    std::vector<std::pair<uint8_t, uint32_t>> children;
    int32_t value = -1;
  };
  std::vector<Node> nodes_;
  std::vector<uint32_t> roots_;  // child of the root by byte; 0: none
};

class AddedVocabulary {
 public:
  // `nfc`: the tokenizer normalises; `model_size`: entries of the model's vocabulary.
  AddedVocabulary(bool nfc, size_t model_size);

  // Adds a token, or gives a known one other flags, and returns its id: that of an equal text here
  // or in the model's vocabulary (`model_id`), else the next free one.
  int32_t add(const AddedToken& token, std::optional<int32_t> model_id);

  // To be called once after the last add. Two tokens that look for the same text are an error:
  // `tokenizers` takes one of them at random.
  Result<void> build_tries();

  // A stretch of text, or an added token in its place.
  struct Part {
    std::string_view text;
    int32_t id = -1;  // -1: text
  };
  // Appends the parts of `text`; `normalized` says which of the two sets is looked for.
  void split(std::string_view text, bool normalized, std::vector<Part>& parts) const;

  struct Entry {
    AddedToken token;
    std::string decoded;  // what it is when ids become text: normalised if it ever was `normalized`
  };
  const std::unordered_map<int32_t, Entry>& entries() const { return entries_; }
  // True for a text that was ever added as special; taking the flag back has no effect.
  bool is_special(const std::string& decoded) const { return specials_.contains(decoded); }
  std::optional<int32_t> id_of(std::string_view content) const;

 private:
  bool nfc_;
  int32_t next_id_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, Entry> entries_;
  std::unordered_set<std::string> specials_;
  LiteralTrie raw_trie_;
  LiteralTrie normalized_trie_;
};

}  // namespace gallop::text
