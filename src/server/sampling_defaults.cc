#include "server/sampling_defaults.h"

#include <limits>

#include "base/file.h"
#include "server/json_fields.h"

namespace gallop::server {

Result<SamplingDefaults> parse_sampling_defaults(const Json& json) {
  if (!json.is_object()) return Error{"expected a JSON object"};
  SamplingDefaults defaults;
  JsonFields fields(json, "");
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  const auto number = [&fields](const char* key, double min, double max, float& value) {
    if (const auto found = fields.number(key, min, max)) value = static_cast<float>(*found);
  };
  number("temperature", 0, 2, defaults.temperature);
  number("top_p", 1e-6, 1, defaults.top_p);
  number("min_p", 0, 1, defaults.min_p);
  number("presence_penalty", -2, 2, defaults.presence_penalty);
  number("frequency_penalty", -2, 2, defaults.frequency_penalty);
  number("repetition_penalty", 1e-3, 100, defaults.repetition_penalty);
  if (const auto top_k = fields.integer("top_k", -1, kMost)) {
    defaults.top_k = static_cast<int32_t>(*top_k < 0 ? 0 : *top_k);
  }
  if (const auto most = fields.integer("max_new_tokens", 1, kMost)) {
    defaults.max_new_tokens = static_cast<int32_t>(*most);
  }
  if (fields.error()) return *fields.error();
  return defaults;
}

Result<SamplingDefaults> load_sampling_defaults(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "generation_config.json";
  if (!file_exists(path)) return SamplingDefaults{};
  ASSIGN_OR_RETURN(const Json json, load_json_file(path, 1 << 20));
  Result<SamplingDefaults> defaults = parse_sampling_defaults(json);
  if (!defaults.ok()) {
    return Error{path.string() + ": " + defaults.error().message, ErrorCode::kInvalidInput,
                 defaults.error().param};
  }
  return defaults;
}

}  // namespace gallop::server
