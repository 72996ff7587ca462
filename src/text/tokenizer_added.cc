#include "text/tokenizer_added.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/unicode.h"
#include "text/unicode_nfc.h"

namespace gallop::text {
namespace {

bool has_flag(char32_t code, uint8_t flag) { return (char_flag_table()[code] & flag) != 0; }

bool touches_word(std::string_view text, size_t begin, size_t end) {
  return (begin > 0 && has_flag(character_before(text, begin).code, kWord)) ||
         (end < text.size() && has_flag(character_at(text, end).code, kWord));
}

// Not beyond `limit`.
size_t skip_space_back(std::string_view text, size_t begin, size_t limit) {
  while (begin > limit) {
    const Character character = character_before(text, begin);
    if (!has_flag(character.code, kSpace)) break;
    begin -= character.length;
  }
  return begin;
}

size_t skip_space(std::string_view text, size_t end) {
  while (end < text.size()) {
    const Character character = character_at(text, end);
    if (!has_flag(character.code, kSpace)) break;
    end += character.length;
  }
  return end;
}

}  // namespace

LiteralTrie::LiteralTrie() : nodes_(1), roots_(256, 0) {}

bool LiteralTrie::insert(std::string_view literal, int32_t value) {
  uint32_t node = 0;
  for (size_t i = 0; i < literal.size(); ++i) {
    const auto byte = static_cast<uint8_t>(literal[i]);
    auto& children = nodes_[node].children;
    const auto place =
        std::lower_bound(children.begin(), children.end(), std::pair<uint8_t, uint32_t>(byte, 0));
    if (place != children.end() && place->first == byte) {
      node = place->second;
      continue;
    }
    const auto child = static_cast<uint32_t>(nodes_.size());
    children.insert(place, {byte, child});
    nodes_.emplace_back();
    if (i == 0) roots_[byte] = child;
    node = child;
  }
  if (nodes_[node].value >= 0) return false;
  nodes_[node].value = value;
  return true;
}

std::optional<LiteralTrie::Match> LiteralTrie::find(std::string_view text, size_t begin) const {
  for (; begin < text.size(); ++begin) {
    uint32_t node = roots_[static_cast<uint8_t>(text[begin])];
    std::optional<Match> longest;
    size_t end = begin;
    while (node != 0) {
      ++end;
      if (nodes_[node].value >= 0) longest = Match{begin, end, nodes_[node].value};
      if (end == text.size()) break;
      const auto byte = static_cast<uint8_t>(text[end]);
      const auto& children = nodes_[node].children;
      const auto place =
          std::lower_bound(children.begin(), children.end(), std::pair<uint8_t, uint32_t>(byte, 0));
      node = place != children.end() && place->first == byte ? place->second : 0;
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

AddedVocabulary::AddedVocabulary(bool nfc, size_t model_size)
    : nfc_(nfc), next_id_(static_cast<int32_t>(model_size)) {}

int32_t AddedVocabulary::add(const AddedToken& token, std::optional<int32_t> model_id) {
  const std::optional<int32_t> known_id = id_of(token.content);
  const int32_t id = known_id ? *known_id : model_id ? *model_id : next_id_++;
  ids_[token.content] = id;
  if (token.special) specials_.insert(token.content);
  Entry& entry = entries_[id];
  if (entry.decoded.empty()) entry.decoded = token.content;
  if (token.normalized && nfc_) entry.decoded = to_nfc(token.content);
  entry.token = token;
  return id;
}

Result<void> AddedVocabulary::build_tries() {
  for (const auto& [id, entry] : entries_) {
    const AddedToken& token = entry.token;
    const bool is_new = token.normalized ? normalized_trie_.insert(entry.decoded, id)
                                         : raw_trie_.insert(token.content, id);
    if (!is_new) {
      return Error{fmt::format("the added token \"{}\" has the same normalised text as another one",
                               token.content)};
    }
  }
  return {};
}

void AddedVocabulary::split(std::string_view text, bool normalized,
                            std::vector<Part>& parts) const {
  const LiteralTrie& trie = normalized ? normalized_trie_ : raw_trie_;
  size_t done = 0;                        // text before this is in `parts`
  size_t searched = 0;                    // the search goes on here, whatever rstrip took
  size_t space_begin = 0, space_end = 0;  // white space that rstrip went over: once, not per match
  while (const auto match = trie.find(text, searched)) {
    searched = match->end;
    const AddedToken& token = entries_.at(match->value).token;
    size_t begin = match->begin;
    size_t end = match->end;
    if (token.single_word && touches_word(text, begin, end)) continue;
    if (token.lstrip) begin = std::max(skip_space_back(text, begin, done), done);
    if (token.rstrip) {
      if (end < space_begin || end > space_end) {
        space_begin = end;
        space_end = skip_space(text, end);
      }
      end = space_end;
    }
    if (begin >= end) continue;  // white space that an earlier rstrip took
    if (done < begin) parts.push_back({text.substr(done, begin - done)});
    parts.push_back({{}, match->value});
    done = end;  // may lie before the end of white space that an earlier rstrip took
  }
  if (done < text.size()) parts.push_back({text.substr(done)});
}

std::optional<int32_t> AddedVocabulary::id_of(std::string_view content) const {
  const auto found = ids_.find(std::string(content));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

}  // namespace gallop::text
