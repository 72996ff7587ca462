// nlohmann's order-preserving JSON behind limits: the one way text from outside becomes JSON.
// Order matters: chat templates print tools and arguments in the order the client sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace gallop {

using Json = nlohmann::ordered_json;

// An object of ordered_json looks keys up linearly, so parsing is quadratic in an object's keys:
// `max_keys` bounds that for one object and its later lookups, `max_key_compares` (32 bytes of a
// key count as one; about half a second) for the whole text. `max_depth` bounds the recursion of
// every later walk, `max_elements` (values of all kinds, keys included) bounds memory.
struct JsonLimits {
  size_t max_depth = 128;
  size_t max_keys = 4096;
  size_t max_key_compares = 100'000'000;
  size_t max_elements = 4'000'000;
};

// Parses one JSON text; the whole of `text` must be used. Duplicate keys: the last one wins, as in
// Python. An integer beyond 64 bits is an error: it could only be rounded. Errors name the byte
// offset or the limit that was exceeded.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

// Reads and parses a file of at most `max_bytes`; errors begin with the path.
Result<Json> load_json_file(const std::filesystem::path& path, size_t max_bytes = 64 << 20,
                            const JsonLimits& limits = {});

// What the parse_error of a SAX handler has to say: the byte, and the reason without its prefix.
std::string json_syntax_error(size_t position, const std::exception& error);

// The value of an integer within 64 signed bits; nothing for what is another kind or beyond them,
// where nlohmann's own conversions and comparisons wrap.
std::optional<int64_t> json_integer(const Json& value);

// Serialises compactly; bytes that are no UTF-8 become U+FFFD instead of an exception.
std::string dump_json(const Json& value);

}  // namespace gallop
