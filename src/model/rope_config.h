// Rotary settings, which configs hold in three places: rope_parameters (transformers 5),
// rope_scaling and the top level (before). The first that is there wins. Scaling (YaRN and others)
// is refused.
#pragma once

#include "base/json.h"
#include "model/config_reader.h"

namespace gallop::model {

struct RopeConfig {
  float theta = 0;
  double partial_factor = 1;         // share of a head that rotates, (0, 1]
  const Json* parameters = nullptr;  // the object the values came from; may be empty, never null
};

// Problems go to the reader.
RopeConfig read_rope_config(ConfigReader& reader, double default_partial_factor);

}  // namespace gallop::model
