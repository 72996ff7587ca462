// What a checkpoint says of its quantisation, in config.json and in ModelOpt's
// hf_quant_config.json. Which tensors are packed, and how, is told by the tensors themselves
// (weight_format.h); here stand the schemes that would have the same tensors and mean something
// else, and those that change the computation. They are errors by key.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "model/config_reader.h"

namespace gallop::model {

// Checks the object "quantization_config" of `reader`, if there is one.
void check_quantization_config(ConfigReader& reader);

// Checks DIR/hf_quant_config.json, if there is one; errors begin with its path.
Result<void> check_quantization_file(const std::filesystem::path& directory);

}  // namespace gallop::model
