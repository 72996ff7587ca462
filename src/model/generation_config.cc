#include "model/generation_config.h"

#include "model/common_config.h"
#include "model/config_reader.h"

namespace gallop::model {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

}  // namespace

Result<GenerationDefaults> parse_generation_defaults(const Json& json, const ModelConfig& config) {
  if (!json.is_object()) return Error{"expected a JSON object"};
  ConfigReader reader(json);
  const auto number = [&](std::string_view key, double fallback, double least, double most) {
    return static_cast<float>(reader.number_or(key, fallback, least, most));
  };
  GenerationDefaults defaults;
  defaults.stop_ids = read_eos_ids(reader, config.vocab);
  if (!reader.has("eos_token_id")) defaults.stop_ids = config.eos_ids;
  const float temperature = number("temperature", 1, 0, 2);
  defaults.temperature = reader.boolean_or("do_sample", false) ? temperature : 0;
  // -1 switches top_k off, as 0 does.
  const int64_t top_k = reader.integer_or("top_k", 0, -1, kMaxVocab);
  defaults.top_k = static_cast<int32_t>(top_k < 0 ? 0 : top_k);
  defaults.top_p = number("top_p", 1, 0, 1);
  if (defaults.top_p == 0) reader.fail("top_p", "a number above 0 and at most 1");
  defaults.min_p = number("min_p", 0, 0, 1);
  defaults.presence_penalty = number("presence_penalty", 0, -2, 2);
  defaults.frequency_penalty = number("frequency_penalty", 0, -2, 2);
  defaults.repetition_penalty = number("repetition_penalty", 1, 0, 10);
  if (defaults.repetition_penalty == 0) reader.fail("repetition_penalty", "a number above 0");
  if (reader.error()) return *reader.error();
  return defaults;
}

Result<GenerationDefaults> load_generation_defaults(const std::filesystem::path& directory,
                                                    const ModelConfig& config) {
  const std::filesystem::path path = directory / "generation_config.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return GenerationDefaults{.stop_ids = config.eos_ids};
  }
  ASSIGN_OR_RETURN(const Json json, load_json_file(path, kMaxFileBytes));
  Result<GenerationDefaults> defaults = parse_generation_defaults(json, config);
  if (defaults.ok()) return defaults;
  return Error{path.string() + ": " + defaults.error().message, defaults.error().code,
               defaults.error().param};
}

}  // namespace gallop::model
