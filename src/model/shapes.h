// The config.json of models that do not exist yet: shapes of the family by name, cut to any number
// of layers, and a DFlash drafter for each. Knows no weights.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "model/config.h"

namespace gallop::model {

// "qwen3.5-27b" or "qwen3.5-tiny" (a million parameters); an error lists the names.
Result<Json> named_shape(std::string_view name);

// `config`, which parse_model_config accepts, with `layers` layers (1..1024). They have the kinds
// of its last ones, and repeat from there upwards: two layers of Qwen3.5 are one of each kind.
Result<Json> with_layers(Json config, int64_t layers);

// A drafter for `target`: for Qwen3.5-27B and 4B what is published, in between and below the same
// proportions.
Json drafter_shape(const ModelConfig& target);

}  // namespace gallop::model
