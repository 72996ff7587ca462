#include "model/quantization_config.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/file.h"
#include "base/json.h"
#include "codec/nvfp4.h"
#include "ops/linear/linear_weight.h"

namespace gallop::model {
namespace {

constexpr const char* kFileName = "hf_quant_config.json";
constexpr size_t kMaxFileBytes = 16 << 20;  // real ones take a few KB

// Of ModelOpt. W4A8_NVFP4_FP8 has the tensors of NVFP4 with another global scale; NVFP4_SVD adds
// matrices.
constexpr std::array<std::string_view, 7> kAlgorithms = {
    "FP8",         "FP8_PB_WO",      "FP8_PER_CHANNEL_PER_TOKEN", "NVFP4", "NVFP4_AWQ",
    "W4A16_NVFP4", "MIXED_PRECISION"};

// Of compressed-tensors.
constexpr std::array<std::string_view, 5> kFormats = {
    "nvfp4-pack-quantized", "float-quantized", "naive-quantized", "mixed-precision", "dense"};

template <size_t N>
void check_name(ConfigReader& reader, std::string_view key,
                const std::array<std::string_view, N>& known) {
  const std::string found = reader.string_or(key, "");
  if (!reader.has(key) || std::find(known.begin(), known.end(), found) != known.end()) return;
  reader.fail(Error{fmt::format("{} is \"{}\"; expected one of {}", reader.name_of(key), found,
                                fmt::join(known, ", ")),
                    ErrorCode::kUnsupported, reader.name_of(key)});
}

// Runs `check` on the object under `key`.
template <typename Check>
void check_object(ConfigReader& reader, std::string_view key, const Check& check) {
  const Json& object = reader.object_or_empty(key);
  ConfigReader nested(object, reader.name_of(key) + ".");
  check(nested, object);
  if (nested.error()) reader.fail(*nested.error());
}

// Each value of an object is an object of its own.
template <typename Check>
void check_each(ConfigReader& reader, const Json& objects, const Check& check) {
  for (const auto& [key, value] : objects.items()) {
    check_object(reader, key, [&](ConfigReader& nested, const Json&) { check(nested); });
  }
}

// {"num_bits": 4 | 8, "type": "float", "group_size": 16}: weights of a group of modules.
void check_weights(ConfigReader& reader) {
  const int64_t bits = reader.integer_or("num_bits", 8, 1, 64);
  if (bits != 4 && bits != 8) reader.fail("num_bits", "4 (NVFP4) or 8 (FP8)");
  if (reader.string_or("type", "float") != "float") reader.fail("type", "\"float\"");
  if (bits == 4 && reader.has("group_size")) {
    reader.integer("group_size", codec::kNvfp4Block, codec::kNvfp4Block);
  }
  if (!reader.boolean_or("symmetric", true)) reader.fail("symmetric", "true");
}

void check_group(ConfigReader& reader) {
  check_name(reader, "format", kFormats);
  check_object(reader, "weights",
               [](ConfigReader& weights, const Json&) { check_weights(weights); });
}

void check_layer(ConfigReader& reader) {
  check_name(reader, "quant_algo", kAlgorithms);
  if (reader.string_or("quant_algo", "").find("NVFP4") != std::string::npos) {
    reader.integer_or("group_size", codec::kNvfp4Block, codec::kNvfp4Block, codec::kNvfp4Block);
  }
}

void check_modelopt(ConfigReader& reader) {
  check_layer(reader);
  check_object(reader, "quantized_layers", [](ConfigReader& layers, const Json& json) {
    check_each(layers, json, check_layer);
  });
}

// Transforms multiply the activations, sparsity packs the weights.
void check_compressed_tensors(ConfigReader& reader) {
  check_name(reader, "format", kFormats);
  if (!reader.object_or_empty("transform_config").empty()) {
    reader.fail("transform_config", "none or {}");
  }
  const Json& sparsity = reader.object_or_empty("sparsity_config");
  if (!sparsity.empty() && ConfigReader(sparsity).string_or("format", "") != "dense") {
    reader.fail("sparsity_config", "none, {} or format \"dense\"");
  }
}

// Hugging Face's own FP8: tiles of 128 x 128.
void check_fine_grained(ConfigReader& reader) {
  constexpr auto kTile = static_cast<int32_t>(ops::Fp8Weight::kTile);
  if (reader.string_or("fmt", "e4m3") != "e4m3") reader.fail("fmt", "\"e4m3\"");
  const std::vector<int32_t> tile = reader.integers("weight_block_size", 2, 1, 1 << 20);
  if (!tile.empty() && tile != std::vector<int32_t>{kTile, kTile}) {
    reader.fail("weight_block_size", fmt::format("[{}, {}]", kTile, kTile));
  }
}

void check_object_of_config(ConfigReader& reader) {
  const std::string method = reader.string_or("quant_method", "");
  if (method == "modelopt") {
    check_modelopt(reader);
  } else if (method == "compressed-tensors") {
    check_compressed_tensors(reader);
  } else if (method == "fp8") {
    check_fine_grained(reader);
  } else {
    reader.fail("quant_method", "\"modelopt\", \"compressed-tensors\" or \"fp8\"");
  }
  check_object(reader, "config_groups", [](ConfigReader& groups, const Json& json) {
    check_each(groups, json, check_group);
  });
}

}  // namespace

void check_quantization_config(ConfigReader& reader) {
  if (!reader.has("quantization_config")) return;
  check_object(reader, "quantization_config",
               [](ConfigReader& nested, const Json&) { check_object_of_config(nested); });
}

Result<void> check_quantization_file(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kFileName;
  if (!file_exists(path)) return {};
  ASSIGN_OR_RETURN(const Json json, load_json_file(path, kMaxFileBytes));
  const auto fail = [&](const Error& error) {
    return Error{path.string() + ": " + error.message, error.code, error.param};
  };
  if (!json.is_object()) return fail(Error{"expected a JSON object"});
  ConfigReader reader(json);
  check_object(reader, "quantization",
               [](ConfigReader& nested, const Json&) { check_modelopt(nested); });
  if (reader.error()) return fail(*reader.error());
  return {};
}

}  // namespace gallop::model
