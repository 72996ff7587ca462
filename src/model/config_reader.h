// Reads typed values out of one JSON object of a config file. The first bad value is remembered and
// every later read gives a harmless default, so that a parser is a list of reads and one check of
// error() at its end; nothing that was read may be used before that check.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace gallop::model {

class ConfigReader {
 public:
  // `where` stands before the key in messages: "text_config." or "". `json` is an object and
  // outlives the reader.
  explicit ConfigReader(const Json& json, std::string where = {});

  // Null when the key is absent or its value is null, which Hugging Face treats alike.
  const Json* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }

  // Required, in [least, most].
  int64_t integer(std::string_view key, int64_t least, int64_t most);
  // The same with a value for an absent key, which need not lie in the range.
  int64_t integer_or(std::string_view key, int64_t fallback, int64_t least, int64_t most);
  // Required; in (above, most] also when rounded to f32.
  float number(std::string_view key, float above, float most);
  // Finite, in [least, most]; `fallback` when absent.
  double number_or(std::string_view key, double fallback, double least, double most);
  bool boolean_or(std::string_view key, bool fallback);
  // Empty when absent.
  std::string string_or(std::string_view key, std::string_view fallback);
  // A list of strings; nothing when absent.
  std::optional<std::vector<std::string>> strings(std::string_view key);
  // A number or a list of at most `max_count` numbers in [least, most]; empty when absent.
  std::vector<int32_t> integers(std::string_view key, size_t max_count, int64_t least,
                                int64_t most);
  // The object under `key`; an empty one when absent.
  const Json& object_or_empty(std::string_view key);

  // Remembers "`key` is <found>; expected <expected>" (or "... is missing"), unless there is an
  // error already.
  void fail(std::string_view key, std::string_view expected);
  void fail(Error error);

  const std::optional<Error>& error() const { return error_; }
  // "text_config.hidden_size"
  std::string name_of(std::string_view key) const { return where_ + std::string(key); }

 private:
  const Json& json_;
  std::string where_;
  std::optional<Error> error_;
};

// A JSON value in a message: at most 40 characters of it.
std::string short_text(const Json& value);

}  // namespace gallop::model
