// The vocabulary and the merges of a byte-level BPE model: one piece of text to token ids. Added
// tokens, splitting and normalising are not its business.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"

namespace gallop::text {

inline constexpr int32_t kTokenIdLimit = 1 << 24;

struct BpeSpec {
  std::vector<std::pair<std::string, int32_t>> vocabulary;  // content in the GPT-2 alphabet, id
  std::vector<std::pair<std::string, std::string>> merges;  // in order of rank
  bool ignore_merges = false;
  bool unknown_matters = false;  // unk_token or byte_fallback is set: every byte needs a token
};

class BpeModel {
 public:
  // Ids must be unique and below kTokenIdLimit; both parts of a merge and their concatenation must
  // be in the vocabulary.
  static Result<BpeModel> make(BpeSpec spec, bool pieces_are_bytes);

  // Room for one call after the other; not shared by threads.
  struct Scratch {
    struct Symbol {
      int32_t id;
      uint32_t previous;
      uint32_t next;
    };
    std::vector<int32_t> ids;
    std::vector<uint64_t> pairs;
    std::vector<Symbol> symbols;
    std::vector<uint64_t> heap;
  };

  // Appends the ids of one piece: raw bytes, or characters of the vocabulary's alphabet, as
  // `pieces_are_bytes` said. Bytes and characters without a token are left out, as in `tokenizers`.
  // Time n log n in the piece's length.
  void encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const;

  std::optional<int32_t> id_of(std::string_view content) const;
  size_t size() const { return vocabulary_.size(); }
  const std::unordered_map<std::string, int32_t>& vocabulary() const { return vocabulary_; }

 private:
  BpeModel() = default;
  Result<void> take_vocabulary(BpeSpec& spec);
  Result<void> take_merges(const BpeSpec& spec);
  Result<void> take_bytes(bool unknown_matters);

  // Rank << 32 | id of what two neighbours become; kNoMerge if they stay.
  static constexpr uint64_t kNoMerge = ~uint64_t{0};
  uint64_t merge_of(int32_t left, int32_t right) const;
  void insert_merge(int32_t left, int32_t right, uint64_t merge);

  void first_symbols(std::string_view piece, std::vector<int32_t>& ids) const;
  void merge_short(Scratch& scratch) const;
  void merge_long(Scratch& scratch) const;

  std::unordered_map<std::string, int32_t> vocabulary_;
  std::unordered_map<std::string, int32_t> whole_pieces_;  // with ignore_merges: raw piece to id
  std::array<int32_t, 256> byte_ids_{};                    // -1: no token
  // Open addressing, linear probing; a key is left id << 24 | right id, kEmptyKey where free.
  struct Slot {
    uint64_t key;
    uint64_t merge;
  };
  static constexpr uint64_t kEmptyKey = ~uint64_t{0};
  std::vector<Slot> slots_;
  int slot_shift_ = 0;  // 64 - log2(slots)
  bool pieces_are_bytes_ = true;
};

}  // namespace gallop::text
