// What a request gets that says nothing: DIR/generation_config.json, else OpenAI's defaults.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/json.h"
#include "base/result.h"

namespace gallop::server {

struct SamplingDefaults {
  float temperature = 1;
  float top_p = 1;
  float min_p = 0;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  float repetition_penalty = 1;
  int32_t top_k = 0;
  std::optional<int32_t> max_new_tokens;
};

// `json` is a whole generation_config.json. Errors name the key; the caller adds the path.
Result<SamplingDefaults> parse_sampling_defaults(const Json& json);

// A directory without the file gives OpenAI's defaults.
Result<SamplingDefaults> load_sampling_defaults(const std::filesystem::path& directory);

}  // namespace gallop::server
