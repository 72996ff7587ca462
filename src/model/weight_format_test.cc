#include "model/weight_format.h"

#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/float_types.h"
#include "model/quantization_config.h"

namespace gallop::model {
namespace {

namespace fs = std::filesystem;
using checkpoint::HfCheckpoint;
using checkpoint::TensorData;
using checkpoint::TensorSpec;

constexpr int64_t kOutputs = 130;
constexpr int64_t kInputs = 288;
const std::string kPrefix = "model.layers.0.mlp.up_proj";

// The tensors of one linear [130, 288], whose scalars have the value `number`.
class WeightFormatTest : public testing::Test {
 protected:
  WeightFormatTest() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    directory_ =
        fs::temp_directory_path() / fmt::format("gallop-format-{}-{}", test->name(), ::getpid());
    fs::create_directories(directory_);
    std::ofstream(directory_ / "config.json") << "{}";
  }
  ~WeightFormatTest() override { fs::remove_all(directory_); }

  struct Stored {
    std::string ending;
    DType dtype;
    std::vector<int64_t> shape;
    float number = 0.5f;  // of each element of F32 or BF16
  };

  // Binds the linear over a file that holds those tensors.
  Result<LinearTensors> bind(const std::vector<Stored>& stored, int64_t k = kInputs) {
    std::vector<std::vector<uint8_t>> bytes;
    std::vector<TensorData> tensors;
    for (const Stored& one : stored) {
      size_t count = 1;
      for (const int64_t extent : one.shape) count *= static_cast<size_t>(extent);
      bytes.emplace_back(count * dtype_bytes(one.dtype));
      const uint16_t narrow = f32_to_bf16(one.number);
      for (size_t i = 0; i < count; ++i) {
        if (one.dtype == DType::kF32) std::memcpy(&bytes.back()[4 * i], &one.number, 4);
        if (one.dtype == DType::kBF16) std::memcpy(&bytes.back()[2 * i], &narrow, 2);
      }
    }
    for (size_t i = 0; i < stored.size(); ++i) {
      tensors.push_back({.spec = {kPrefix + stored[i].ending, stored[i].dtype, stored[i].shape},
                         .bytes = bytes[i]});
    }
    EXPECT_TRUE(write_safetensors(directory_ / "model.safetensors", tensors).ok());
    files_.emplace(*HfCheckpoint::open(directory_));
    part_ = {};
    return bind_linear({.name = kPrefix + ".weight",
                        .shape = {kOutputs, k},
                        .kind = TensorKind::kLinear,
                        .part = &part_},
                       *files_);
  }
  std::string error_of(const std::vector<Stored>& stored, int64_t k = kInputs) {
    const auto tensors = bind(stored, k);
    return tensors.ok() ? "no error" : tensors.error().message;
  }

  fs::path directory_;
  std::optional<HfCheckpoint> files_;
  ops::LinearPart part_;
};

std::vector<std::string> placed_names(const Result<LinearTensors>& tensors) {
  std::vector<std::string> names;
  for (const TensorBinding& binding : tensors->placed) {
    names.push_back(binding.name.substr(kPrefix.size()));
  }
  return names;
}

void expect_contains(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos)
      << "message: " << message << "\nexpected: " << part;
}

using Names = std::vector<std::string>;

TEST_F(WeightFormatTest, ModelOptAndCompressedTensorsNvfp4) {
  const auto modelopt = bind({{".weight", DType::kU8, {kOutputs, kInputs / 2}},
                              {".weight_scale", DType::kF8E4M3, {kOutputs, kInputs / 16}},
                              {".weight_scale_2", DType::kF32, {}, 0.25f},
                              {".input_scale", DType::kF32, {1}},
                              {".pre_quant_scale", DType::kBF16, {kInputs}}});
  ASSERT_TRUE(modelopt.ok()) << modelopt.error().message;
  EXPECT_EQ(placed_names(modelopt), (Names{".weight", ".weight_scale", ".pre_quant_scale"}));
  EXPECT_EQ(modelopt->scalars.size(), 2u);
  EXPECT_EQ(std::get<ops::Nvfp4Weight>(part_.weight).global_scale, 0.25f);
  EXPECT_EQ(modelopt->placed[2].field, &part_.input_scale);
  const auto inverse = bind({{".weight_packed", DType::kU8, {kOutputs, kInputs / 2}},
                             {".weight_scale", DType::kF8E4M3, {kOutputs, kInputs / 16}},
                             {".weight_global_scale", DType::kF32, {1}, 8.0f}});
  ASSERT_TRUE(inverse.ok()) << inverse.error().message;
  EXPECT_EQ(placed_names(inverse), (Names{".weight_packed", ".weight_scale"}));
  EXPECT_EQ(std::get<ops::Nvfp4Weight>(part_.weight).global_scale, 1);
  EXPECT_EQ(std::get<ops::Nvfp4Weight>(part_.weight).global_divisor, 8);
}

TEST_F(WeightFormatTest, Fp8ScalesAreToldByTheirShape) {
  const Stored weight{".weight", DType::kF8E4M3, {kOutputs, kInputs}};
  const auto view_of = [&](const Stored& scale) {
    const auto tensors = bind({weight, scale});
    EXPECT_TRUE(tensors.ok()) << tensors.error().message;
    return *tensors->placed.back().view;
  };
  EXPECT_EQ(view_of({".weight_scale", DType::kF32, {}}), (Shape{1}));
  EXPECT_EQ(view_of({".weight_scale", DType::kF32, {1}}), (Shape{1}));
  EXPECT_EQ(view_of({".weight_scale", DType::kF32, {kOutputs}}), (Shape{kOutputs}));
  EXPECT_EQ(view_of({".weight_scale", DType::kBF16, {kOutputs, 1}}), (Shape{kOutputs}));
  EXPECT_EQ(view_of({".weight_scale", DType::kF32, {2, 3}}), (Shape{2, 3}));
  EXPECT_EQ(view_of({".weight_scale_inv", DType::kF32, {2, 3}}), (Shape{2, 3}));
  expect_contains(error_of({weight, {".weight_scale", DType::kF32, {4, 3}}}),
                  "weight_scale': FP8 scales of shape [4, 3]; expected [] or [1]");
}

// Of scales for rows and tiles 0 is one: a row of zeros may have it.
TEST_F(WeightFormatTest, BadScalesAreNamed) {
  const Stored fp8{".weight", DType::kF8E4M3, {kOutputs, kInputs}};
  const Stored floats{".weight", DType::kBF16, {kOutputs, kInputs}};
  const std::vector<std::pair<Stored, Stored>> one_for_each = {
      {fp8, {".weight_scale", DType::kF32, {kOutputs}}},
      {fp8, {".weight_scale", DType::kF32, {kOutputs, 1}}},
      {fp8, {".weight_scale", DType::kF32, {2, 3}}},
      {fp8, {".weight_scale_inv", DType::kF32, {2, 3}}}};
  const std::vector<std::pair<Stored, Stored>> one_for_all = {
      {fp8, {".weight_scale", DType::kF32, {}}},
      {fp8, {".weight_scale", DType::kF32, {1}}},
      {floats, {".pre_quant_scale", DType::kF32, {kInputs}}}};
  const auto expect_refused = [&](const Stored& weight, Stored scale, float number) {
    scale.number = number;
    expect_contains(error_of({weight, scale}), fmt::format("'{}{}': ", kPrefix, scale.ending));
    expect_contains(error_of({weight, scale}), fmt::format("is {}; expected a finite", number));
  };
  for (const float bad : {NAN, INFINITY, -1.0f}) {
    for (const auto& [weight, scale] : one_for_each) expect_refused(weight, scale, bad);
    for (const auto& [weight, scale] : one_for_all) expect_refused(weight, scale, bad);
  }
  for (const auto& [weight, scale] : one_for_all) expect_refused(weight, scale, 0);
  for (auto [weight, scale] : one_for_each) {
    scale.number = 0;
    EXPECT_EQ(error_of({weight, scale}), "no error");
  }
}

TEST_F(WeightFormatTest, FloatsMayHaveAScaleForTheirInputs) {
  const auto tensors = bind({{".weight", DType::kBF16, {kOutputs, kInputs}},
                             {".pre_quant_scale", DType::kF32, {kInputs}}});
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  EXPECT_EQ(placed_names(tensors), (Names{".weight", ".pre_quant_scale"}));
  EXPECT_TRUE(std::holds_alternative<ops::FloatWeight>(part_.weight));
}

TEST_F(WeightFormatTest, BadCompanionsAreNamed) {
  const Stored codes{".weight", DType::kU8, {kOutputs, kInputs / 2}};
  const Stored scales{".weight_scale", DType::kF8E4M3, {kOutputs, kInputs / 16}};
  expect_contains(error_of({codes, scales}),
                  kPrefix + ".weight_scale_2' [] is missing beside the packed weight");
  expect_contains(error_of({codes, scales, {".weight_scale_2", DType::kF32, {2}}}),
                  "weight_scale_2': shape [2]; expected [] or [1]");
  expect_contains(error_of({codes, scales, {".weight_scale_2", DType::kI32, {}}}),
                  "weight_scale_2': dtype I32; expected F32, BF16 or F16");
  for (const float bad : {0.0f, -1.0f, INFINITY, NAN}) {
    expect_contains(error_of({codes, scales, {".weight_scale_2", DType::kF32, {}, bad}}),
                    "expected a finite number above 0");
  }
  expect_contains(error_of({codes, scales, {".weight_scale_2", DType::kF32, {}}}, 280),
                  "NVFP4 with 280 inputs; expected a multiple of 16");
  expect_contains(error_of({{".weight", DType::kBF16, {kOutputs, kInputs}}, scales}),
                  "weight_scale': belongs to a packed weight, but '" + kPrefix +
                      ".weight' is BF16; expected U8 (NVFP4) or F8_E4M3");
  expect_contains(error_of({codes,
                            scales,
                            {".weight_scale_2", DType::kF32, {}},
                            {".input_scale", DType::kF32, {}, NAN}}),
                  "input_scale': is nan; expected a finite number above 0");
}

TEST(ForeignScheme, IsToldByItsNames) {
  EXPECT_EQ(foreign_scheme("model.layers.0.mlp.up_proj.svdquant_lora_a"), "NVFP4_SVD");
  EXPECT_TRUE(foreign_scheme("model.layers.0.mlp.up_proj.qweight").has_value());
  EXPECT_FALSE(foreign_scheme("model.layers.0.mlp.up_proj.weight_scale").has_value());
}

TEST(NanScales, AreCountedByBlock) {
  std::vector<uint8_t> codes(3 * 16);
  std::vector<uint8_t> scales = {0x7f, 0x7e, 0xff, 0x00, 0x80, 0x7f};
  const ops::LinearPart part{
      .weight = ops::Nvfp4Weight{.codes = TensorView(codes.data(), DType::kU8, Shape{3, 16}),
                                 .scales = TensorView(scales.data(), DType::kF8E4M3, Shape{3, 2})}};
  EXPECT_EQ(count_nan_scales(part), 3);
  EXPECT_EQ(count_nan_scales(ops::LinearPart{}), 0);
}

// The message of a quantization_config, or "".
std::string config_error(const std::string& json) {
  const Json whole = *parse_json(R"({"quantization_config": )" + json + "}");
  ConfigReader reader(whole);
  check_quantization_config(reader);
  return reader.error() ? reader.error()->message : "";
}

TEST(QuantizationConfig, KnownSchemesPass) {
  for (const std::string json :
       {R"({"quant_method": "modelopt", "quant_algo": "NVFP4_AWQ", "ignore": ["lm_head"]})",
        R"({"quant_method": "modelopt", "quant_algo": "NVFP4", "config_groups": {"group_0": {
            "input_activations": {"dynamic": false, "num_bits": 4, "type": "float",
            "group_size": 16}, "weights": {"dynamic": false, "num_bits": 4, "type": "float",
            "group_size": 16}, "targets": ["Linear"]}}})",
        R"({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {
            "a": {"quant_algo": "FP8"}, "b": {"quant_algo": "W4A16_NVFP4", "group_size": 16}}})",
        R"({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized",
            "sparsity_config": {}, "transform_config": null})",
        R"({"quant_method": "fp8", "weight_block_size": [128, 128], "fmt": "e4m3"})", "null"}) {
    EXPECT_EQ(config_error(json), "") << json;
  }
}

TEST(QuantizationConfig, OthersAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"quant_method": "gptq", "bits": 4})", "quantization_config.quant_method is \"gptq\""},
      {"{}", "quantization_config.quant_method is missing"},
      {R"({"quant_method": "modelopt", "quant_algo": "NVFP4_SVD"})", "quant_algo is \"NVFP4_SVD\""},
      {R"({"quant_method": "modelopt", "quant_algo": "W4A8_NVFP4_FP8"})", "W4A8_NVFP4_FP8"},
      {R"({"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 32})",
       "quantization_config.group_size is 32"},
      {R"({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION",
           "quantized_layers": {"a": {"quant_algo": "INT4_AWQ"}}})",
       "quantization_config.quantized_layers.a.quant_algo is \"INT4_AWQ\""},
      {R"({"quant_method": "modelopt", "quantized_layers": {"a": 7}})",
       "quantized_layers.a is 7; expected an object"},
      {R"({"quant_method": "compressed-tensors", "format": "pack-quantized"})", "pack-quantized"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {
           "weights": {"num_bits": 4, "type": "int"}}}})",
       "config_groups.group_0.weights.type is \"int\""},
      {R"({"quant_method": "compressed-tensors", "transform_config": {"config_groups": {}}})",
       "transform_config"},
      {R"({"quant_method": "compressed-tensors", "sparsity_config": {"format": "2:4"}})",
       "sparsity_config"},
      {R"({"quant_method": "fp8", "weight_block_size": [64, 64]})", "weight_block_size is [64,64]"},
      {R"({"quant_method": "fp8", "fmt": "e5m2"})", "fmt is \"e5m2\""},
      {"[]", "quantization_config is []; expected an object"}};
  for (const auto& [json, expected] : cases) expect_contains(config_error(json), expected);
}

}  // namespace
}  // namespace gallop::model
