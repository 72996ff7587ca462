#include "text/tokenizer_bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <unordered_set>

#include "text/pretokenizer.h"
#include "text/unicode.h"

namespace gallop::text {
namespace {

// Pieces up to this many symbols are merged by scanning for the lowest rank: quicker than a heap
// while the whole piece stays in a few cache lines.
constexpr size_t kShortPiece = 48;

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

uint64_t key_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 24 | static_cast<uint64_t>(right);
}

std::string content_of_byte(size_t byte) {
  std::string content;
  append_utf8(content, byte_characters()[byte]);
  return content;
}

}  // namespace

Result<BpeModel> BpeModel::make(BpeSpec spec, bool pieces_are_bytes) {
  BpeModel model;
  model.pieces_are_bytes_ = pieces_are_bytes;
  RETURN_IF_ERROR(model.take_vocabulary(spec));
  RETURN_IF_ERROR(model.take_merges(spec));
  RETURN_IF_ERROR(model.take_bytes(spec.unknown_matters));
  if (spec.ignore_merges) {
    for (const auto& [content, id] : model.vocabulary_) {
      if (!pieces_are_bytes) {
        model.whole_pieces_.emplace(content, id);
      } else if (std::optional<std::string> bytes = bytes_of_characters(content)) {
        model.whole_pieces_.emplace(std::move(*bytes), id);
      }
    }
  }
  return model;
}

Result<void> BpeModel::take_vocabulary(BpeSpec& spec) {
  vocabulary_.reserve(spec.vocabulary.size());
  std::unordered_set<int32_t> ids;
  ids.reserve(spec.vocabulary.size());
  for (auto& [content, id] : spec.vocabulary) {
    if (!ids.insert(id).second) {
      return Error{
          fmt::format("model.vocab: two tokens have the id {}, one of them is \"{}\"; ids "
                      "must be unique",
                      id, content)};
    }
    const auto [entry, is_new] = vocabulary_.emplace(std::move(content), id);
    if (!is_new) {
      return Error{fmt::format("model.vocab: the token \"{}\" is there twice", entry->first)};
    }
  }
  return {};
}

Result<void> BpeModel::take_merges(const BpeSpec& spec) {
  int bits = 4;
  while ((size_t{1} << bits) < spec.merges.size() * 2) ++bits;
  slots_.assign(size_t{1} << bits, Slot{kEmptyKey, kNoMerge});
  slot_shift_ = 64 - bits;
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const auto& [left, right] = spec.merges[rank];
    const auto find = [&](const std::string& content) -> Result<int32_t> {
      const auto found = vocabulary_.find(content);
      if (found != vocabulary_.end()) return found->second;
      return Error{fmt::format("model.merges[{}]: \"{}\" is not in model.vocab", rank, content)};
    };
    ASSIGN_OR_RETURN(const int32_t left_id, find(left));
    ASSIGN_OR_RETURN(const int32_t right_id, find(right));
    ASSIGN_OR_RETURN(const int32_t merged_id, find(left + right));
    insert_merge(left_id, right_id,
                 static_cast<uint64_t>(rank) << 32 | static_cast<uint64_t>(merged_id));
  }
  return {};
}

Result<void> BpeModel::take_bytes(bool unknown_matters) {
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const auto found = vocabulary_.find(content_of_byte(byte));
    byte_ids_[byte] = found == vocabulary_.end() ? -1 : found->second;
    // 0xC0, 0xC1 and above 0xF4 are in no UTF-8 text.
    const bool can_occur = byte != 0xC0 && byte != 0xC1 && byte < 0xF5;
    if (unknown_matters && can_occur && (byte_ids_[byte] < 0 || !pieces_are_bytes_)) {
      return Error{fmt::format(
          "model.unk_token and model.byte_fallback are supported only where a ByteLevel "
          "pre_tokenizer comes last and every byte has a token; byte {} has none",
          byte)};
    }
  }
  return {};
}

uint64_t BpeModel::merge_of(int32_t left, int32_t right) const {
  const uint64_t key = key_of(left, right);
  // Fibonacci hashing: the high bits of key * 2^64 / golden ratio.
  size_t slot = (key * 0x9E3779B97F4A7C15u) >> slot_shift_;
  while (slots_[slot].key != key) {
    if (slots_[slot].key == kEmptyKey) return kNoMerge;
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slots_[slot].merge;
}

// Of two merges of one pair the later counts, as in `tokenizers`.
void BpeModel::insert_merge(int32_t left, int32_t right, uint64_t merge) {
  const uint64_t key = key_of(left, right);
  size_t slot = (key * 0x9E3779B97F4A7C15u) >> slot_shift_;
  while (slots_[slot].key != key && slots_[slot].key != kEmptyKey) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  slots_[slot] = {key, merge};
}

void BpeModel::first_symbols(std::string_view piece, std::vector<int32_t>& ids) const {
  ids.clear();
  if (pieces_are_bytes_) {
    for (const char byte : piece) {
      const int32_t id = byte_ids_[static_cast<uint8_t>(byte)];
      if (id >= 0) ids.push_back(id);
    }
    return;
  }
  for (size_t position = 0; position < piece.size();) {
    const size_t length = character_at(piece, position).length;
    const auto found = vocabulary_.find(std::string(piece.substr(position, length)));
    if (found != vocabulary_.end()) ids.push_back(found->second);
    position += length;
  }
}

void BpeModel::encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const {
  if (!whole_pieces_.empty()) {
    const auto found = whole_pieces_.find(std::string(piece));
    if (found != whole_pieces_.end()) {
      out.push_back(found->second);
      return;
    }
  }
  first_symbols(piece, scratch.ids);
  if (scratch.ids.size() <= kShortPiece) {
    merge_short(scratch);
  } else {
    merge_long(scratch);
  }
  out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
}

// Merges the pair of lowest rank, the leftmost of equals, until no pair has a merge.
void BpeModel::merge_short(Scratch& scratch) const {
  std::vector<int32_t>& ids = scratch.ids;
  std::vector<uint64_t>& pairs = scratch.pairs;  // pairs[i]: the merge of ids[i] and ids[i + 1]
  if (ids.size() < 2) return;
  pairs.clear();
  for (size_t i = 0; i + 1 < ids.size(); ++i) pairs.push_back(merge_of(ids[i], ids[i + 1]));
  while (!pairs.empty()) {
    const auto best = std::min_element(
        pairs.begin(), pairs.end(), [](uint64_t a, uint64_t b) { return (a >> 32) < (b >> 32); });
    if (*best == kNoMerge) return;
    const auto at = static_cast<size_t>(best - pairs.begin());
    ids[at] = static_cast<int32_t>(*best & 0xFFFFFFFFu);
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(at) + 1);
    pairs.erase(best);
    if (at > 0) pairs[at - 1] = merge_of(ids[at - 1], ids[at]);
    if (at < pairs.size()) pairs[at] = merge_of(ids[at], ids[at + 1]);
  }
}

// The same with a heap of rank << 32 | position over a linked list. An entry is stale when its
// position was merged away or its pair has another rank by now.
void BpeModel::merge_long(Scratch& scratch) const {
  std::vector<Scratch::Symbol>& symbols = scratch.symbols;
  std::vector<uint64_t>& heap = scratch.heap;
  symbols.clear();
  heap.clear();
  const auto count = static_cast<uint32_t>(scratch.ids.size());
  for (uint32_t i = 0; i < count; ++i) {
    symbols.push_back({scratch.ids[i], i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1});
  }
  const auto merge_at = [&](uint32_t position) {
    const uint32_t next = symbols[position].next;
    return next == kNone ? kNoMerge : merge_of(symbols[position].id, symbols[next].id);
  };
  const auto push = [&](uint32_t position) {
    const uint64_t merge = merge_at(position);
    if (merge == kNoMerge) return;
    heap.push_back((merge & ~uint64_t{0xFFFFFFFF}) | position);
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  for (uint32_t i = 0; i < count; ++i) push(i);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const uint64_t entry = heap.back();
    heap.pop_back();
    const auto position = static_cast<uint32_t>(entry & 0xFFFFFFFFu);
    Scratch::Symbol& symbol = symbols[position];
    if (symbol.id < 0) continue;
    const uint64_t merge = merge_at(position);
    if (merge == kNoMerge || (merge >> 32) != (entry >> 32)) continue;
    symbol.id = static_cast<int32_t>(merge & 0xFFFFFFFFu);
    Scratch::Symbol& swallowed = symbols[symbol.next];
    swallowed.id = -1;
    symbol.next = swallowed.next;
    if (symbol.next != kNone) symbols[symbol.next].previous = position;
    if (symbol.previous != kNone) push(symbol.previous);
    push(position);
  }
  scratch.ids.clear();
  for (uint32_t at = 0; at != kNone && at < count; at = symbols[at].next) {
    scratch.ids.push_back(symbols[at].id);
  }
}

std::optional<int32_t> BpeModel::id_of(std::string_view content) const {
  const auto found = vocabulary_.find(std::string(content));
  if (found == vocabulary_.end()) return std::nullopt;
  return found->second;
}

}  // namespace gallop::text
