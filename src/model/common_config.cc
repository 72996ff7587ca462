#include "model/common_config.h"

#include "model/quantization_config.h"

namespace gallop::model {

void refuse_unsupported_common(ConfigReader& reader) {
  if (reader.boolean_or("attention_bias", false)) reader.fail("attention_bias", "false");
  if (reader.string_or("hidden_act", "silu") != "silu") reader.fail("hidden_act", "\"silu\"");
  check_quantization_config(reader);
}

std::vector<int32_t> read_eos_ids(ConfigReader& reader, int64_t vocab) {
  std::vector<int32_t> ids = reader.integers("eos_token_id", kMaxEosIds, 0, kMaxVocab - 1);
  for (const int32_t id : ids) {
    if (id >= vocab) reader.fail("eos_token_id", fmt::format("ids below vocab_size {}", vocab));
  }
  return ids;
}

}  // namespace gallop::model
