#include "model/generation_config.h"

#include "base/file.h"
#include "model/common_config.h"
#include "model/config_reader.h"

namespace gallop::model {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

}  // namespace

Result<std::vector<int32_t>> parse_stop_ids(const Json& json, const ModelConfig& config) {
  if (!json.is_object()) return Error{"expected a JSON object"};
  ConfigReader reader(json);
  if (!reader.has("eos_token_id")) return config.eos_ids;
  const std::vector<int32_t> ids = read_eos_ids(reader, config.vocab);
  if (reader.error()) return *reader.error();
  return ids;
}

Result<std::vector<int32_t>> load_stop_ids(const std::filesystem::path& directory,
                                           const ModelConfig& config) {
  const std::filesystem::path path = directory / "generation_config.json";
  if (!file_exists(path)) return config.eos_ids;
  ASSIGN_OR_RETURN(const Json json, load_json_file(path, kMaxFileBytes));
  Result<std::vector<int32_t>> ids = parse_stop_ids(json, config);
  if (ids.ok()) return ids;
  return Error{path.string() + ": " + ids.error().message, ids.error().code, ids.error().param};
}

}  // namespace gallop::model
