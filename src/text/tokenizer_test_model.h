// A small tokenizer.json for tests: the 256 bytes have the ids of their values, merges follow.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace gallop::text::testing {

inline const std::string kQwen35Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|)"
    R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

inline std::string in_byte_alphabet(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) append_utf8(text, byte_characters()[static_cast<uint8_t>(byte)]);
  return text;
}

using Merges = std::vector<std::pair<std::string, std::string>>;

// Raw bytes in `merges`; merge i gives the token 256 + i unless its text exists already.
inline Json small_tokenizer(const Merges& merges) {
  Json vocabulary = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[in_byte_alphabet(std::string(1, static_cast<char>(byte)))] = byte;
  }
  Json list = Json::array();
  for (const auto& [left, right] : merges) {
    const std::string merged = in_byte_alphabet(left + right);
    if (!vocabulary.contains(merged)) vocabulary[merged] = vocabulary.size();
    list.push_back({in_byte_alphabet(left), in_byte_alphabet(right)});
  }
  Json tree = Json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
      {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": false},
      {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
    "post_processor": null,
    "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
                "use_regex": true},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
              "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
              "ignore_merges": false}})");
  tree["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = kQwen35Regex;
  tree["model"]["vocab"] = vocabulary;
  tree["model"]["merges"] = list;
  return tree;
}

inline Json added_token(const std::string& content, int id, const std::string& flags = "") {
  Json token = {{"id", id}, {"content", content}};
  for (const std::string flag : {"single_word", "lstrip", "rstrip", "normalized", "special"}) {
    token[flag] = flags.find(flag) != std::string::npos;
  }
  return token;
}

}  // namespace gallop::text::testing
