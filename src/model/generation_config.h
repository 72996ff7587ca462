// The ids that end an answer. What the file recommends for sampling is read where requests are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/config.h"

namespace gallop::model {

// `json` is a whole generation_config.json: its `eos_token_id` (a number or a list), else the one
// of config.json. Errors name the key; the caller adds the path.
Result<std::vector<int32_t>> parse_stop_ids(const Json& json, const ModelConfig& config);

// Reads DIR/generation_config.json; without that file the stop ids are those of config.json.
Result<std::vector<int32_t>> load_stop_ids(const std::filesystem::path& directory,
                                           const ModelConfig& config);

}  // namespace gallop::model
