// Fuzzes what a checkpoint directory says in JSON: the index of shards, the three configs and what
// they say of quantisation. Each input goes to every parser; a config that is accepted must give a
// finite table of tensors.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/check.h"
#include "base/json.h"
#include "checkpoint/hf_checkpoint.h"
#include "model/config.h"
#include "model/drafter_config.h"
#include "model/generation_config.h"
#include "model/quantization_config.h"
#include "model/weight_format.h"
#include "model/weight_table.h"

namespace {

void check_bindings(const std::vector<gallop::model::TensorBinding>& bindings) {
  for (const auto& binding : bindings) {
    for (const int64_t extent : binding.shape) CHECK_GT(extent, 0);
    CHECK(binding.field != nullptr || binding.part != nullptr);
  }
}

void fuzz_index(std::string_view text) {
  const auto index = gallop::checkpoint::parse_shard_index(text);
  if (!index.ok()) return;
  for (const auto& [tensor, shard] : *index) {
    const std::filesystem::path path = std::filesystem::path("/models/x") / shard;
    CHECK(path.lexically_normal().string().starts_with("/models/x"));
  }
}

// What is said of a scheme, by itself: as in hf_quant_config.json, and any text as a tensor's name.
void fuzz_quantization(std::string_view text, const gallop::Json& json) {
  CHECK(!gallop::model::foreign_scheme(text).value_or("scheme").empty());
  if (!json.is_object()) return;
  gallop::model::ConfigReader reader(json);
  gallop::model::check_quantization_config(reader);
  if (reader.error()) CHECK(!reader.error()->message.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  fuzz_index(text);
  const auto json = gallop::parse_json(text);
  if (!json.ok()) return 0;
  fuzz_quantization(text, *json);
  const auto config = gallop::model::parse_model_config(*json);
  if (config.ok()) {
    CHECK(config->rms_norm_eps > 0 && config->rope_theta > 0);
    gallop::model::ModelWeights weights;
    check_bindings(gallop::model::bind_tensors(*config, "model.", weights));
  }
  const auto drafter = gallop::model::parse_drafter_config(*json);
  if (drafter.ok()) {
    CHECK(drafter->rms_norm_eps > 0 && drafter->rope_theta > 0);
    gallop::model::DrafterWeights weights;
    check_bindings(gallop::model::bind_tensors(*drafter, "", weights));
  }
  gallop::model::ModelConfig vocabulary;
  vocabulary.vocab = 1000;
  const auto stop_ids = gallop::model::parse_stop_ids(*json, vocabulary);
  if (stop_ids.ok()) {
    for (const int32_t id : *stop_ids) CHECK(id >= 0 && id < vocabulary.vocab);
  }
  return 0;
}
