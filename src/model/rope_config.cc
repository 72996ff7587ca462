#include "model/rope_config.h"

#include <fmt/format.h>

namespace gallop::model {
namespace {

constexpr float kMaxTheta = 1e12f;

// `name` is a key of the outer object that holds `json`.
void check_rope_type(ConfigReader& reader, const Json& json, std::string_view name) {
  ConfigReader inner(json, reader.name_of(name) + ".");
  for (const char* key : {"rope_type", "type"}) {
    if (inner.string_or(key, "default") != "default") {
      inner.fail(key, "\"default\": rope scaling is not supported");
    }
  }
  if (inner.error()) reader.fail(*inner.error());
}

}  // namespace

RopeConfig read_rope_config(ConfigReader& reader, double default_partial_factor) {
  const Json& scaling = reader.object_or_empty("rope_scaling");
  const Json& parameters = reader.object_or_empty("rope_parameters");
  check_rope_type(reader, scaling, "rope_scaling");
  check_rope_type(reader, parameters, "rope_parameters");
  const bool from_parameters = reader.has("rope_parameters");
  RopeConfig rope{.parameters = from_parameters ? &parameters : &scaling};

  ConfigReader inner(*rope.parameters,
                     reader.name_of(from_parameters ? "rope_parameters." : "rope_scaling."));
  ConfigReader& theta = inner.has("rope_theta") ? inner : reader;
  rope.theta = theta.number("rope_theta", 0, kMaxTheta);
  ConfigReader& factor = inner.has("partial_rotary_factor") ? inner : reader;
  rope.partial_factor = factor.number_or("partial_rotary_factor", default_partial_factor, 0, 1);
  if (inner.error()) reader.fail(*inner.error());
  return rope;
}

}  // namespace gallop::model
