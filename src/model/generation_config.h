// What a model's makers recommend for sampling, and the ids that end an answer. A request's own
// values win over these.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/config.h"

namespace gallop::model {

struct GenerationDefaults {
  std::vector<int32_t> stop_ids;  // eos_token_id of generation_config.json, else of config.json
  float temperature = 0;          // 0 unless do_sample
  int32_t top_k = 0;              // 0: off
  float top_p = 1;
  float min_p = 0;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  float repetition_penalty = 1;
};

// `json` is a whole generation_config.json. Errors name the key; the caller adds the path.
Result<GenerationDefaults> parse_generation_defaults(const Json& json, const ModelConfig& config);

// Reads DIR/generation_config.json; without that file: sampling at temperature 0, and the stop ids
// of config.json.
Result<GenerationDefaults> load_generation_defaults(const std::filesystem::path& directory,
                                                    const ModelConfig& config);

}  // namespace gallop::model
