#include "model/weight_loader.h"

#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "base/float_types.h"
#include "base/testing/write_file.h"
#include "model/weight_table.h"

namespace gallop::model {
namespace {

namespace fs = std::filesystem;
using checkpoint::TensorData;
using checkpoint::TensorSpec;

// One GDN and one attention layer of the smallest sizes that keep all widths apart.
Json small_config() {
  return *parse_json(R"({
    "model_type": "qwen3_5_text", "hidden_size": 6, "intermediate_size": 10, "vocab_size": 11,
    "num_hidden_layers": 2, "layer_types": ["linear_attention", "full_attention"],
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
    "linear_num_key_heads": 1, "linear_num_value_heads": 3, "linear_key_head_dim": 4,
    "linear_value_head_dim": 5, "linear_conv_kernel_dim": 3, "rms_norm_eps": 1e-6,
    "max_position_embeddings": 64, "rope_parameters": {"rope_type": "default",
    "rope_theta": 10000, "partial_rotary_factor": 0.5, "mrope_section": [1, 1, 0]}})");
}

Json small_drafter_config() {
  return *parse_json(R"({
    "architectures": ["DFlashDraftModel"], "hidden_size": 6, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "intermediate_size": 7,
    "rms_norm_eps": 1e-6, "rope_theta": 10000, "vocab_size": 11, "block_size": 4,
    "dflash_config": {"mask_token_id": 10, "target_layer_ids": [0, 1]}})");
}

// A checkpoint in memory that a test breaks before it is written.
struct Draft {
  Json config;
  std::vector<TensorSpec> tensors;

  TensorSpec& tensor(const std::string& name) {
    for (TensorSpec& spec : tensors) {
      if (spec.name == name) return spec;
    }
    ADD_FAILURE() << "no tensor " << name;
    return tensors.front();
  }
  void drop(const std::string& name) {
    std::erase_if(tensors, [&](const TensorSpec& spec) { return spec.name == name; });
  }
};

// As published checkpoints have it.
DType published_dtype(const std::string& name) {
  const bool wide = name.ends_with(".A_log") || name.ends_with(".linear_attn.norm.weight");
  return wide ? DType::kF32 : DType::kBF16;
}

std::vector<TensorSpec> specs_of(const std::vector<TensorBinding>& bindings) {
  std::vector<TensorSpec> specs;
  for (const TensorBinding& binding : bindings) {
    specs.push_back(
        {.name = binding.name, .dtype = published_dtype(binding.name), .shape = binding.shape});
  }
  return specs;
}

Draft model_draft(const std::string& prefix = "model.") {
  Draft draft{.config = small_config(), .tensors = {}};
  ModelWeights weights;
  draft.tensors = specs_of(bind_tensors(*parse_model_config(draft.config), prefix, weights));
  return draft;
}

Draft drafter_draft(const std::string& prefix = "") {
  Draft draft{.config = small_drafter_config(), .tensors = {}};
  DrafterWeights weights;
  draft.tensors = specs_of(bind_tensors(*parse_drafter_config(draft.config), prefix, weights));
  return draft;
}

// Element i of a tensor: 1, 2, ... 100, 1, 2, ...: exact in every dtype.
float value_at(size_t i) { return static_cast<float>(i % 100 + 1); }

std::vector<uint8_t> values_of(const TensorSpec& spec) {
  size_t count = 1;
  for (const int64_t extent : spec.shape) count *= static_cast<size_t>(extent);
  std::vector<uint8_t> bytes(count * dtype_bytes(spec.dtype));
  for (size_t i = 0; i < count; ++i) {
    const float value = value_at(i);
    const uint16_t narrow = f32_to_bf16(value);
    if (spec.dtype == DType::kF32) std::memcpy(&bytes[4 * i], &value, 4);
    if (spec.dtype == DType::kBF16) std::memcpy(&bytes[2 * i], &narrow, 2);
  }
  return bytes;
}

const TensorView& floats_of(const ops::LinearPart& part) {
  return std::get<ops::FloatWeight>(part.weight).weight;
}

class WeightLoaderTest : public testing::Test {
 protected:
  WeightLoaderTest() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    directory_ =
        fs::temp_directory_path() / fmt::format("gallop-loader-{}-{}", test->name(), ::getpid());
    fs::create_directories(directory_);
  }
  ~WeightLoaderTest() override { fs::remove_all(directory_); }

  void write(const Draft& draft) {
    std::ofstream(directory_ / "config.json") << dump_json(draft.config);
    std::vector<std::vector<uint8_t>> values;
    for (const TensorSpec& spec : draft.tensors) values.push_back(values_of(spec));
    std::vector<TensorData> tensors;
    for (size_t i = 0; i < values.size(); ++i) {
      tensors.push_back({.spec = draft.tensors[i], .bytes = values[i]});
    }
    ASSERT_TRUE(write_safetensors(directory_ / "model.safetensors", tensors).ok());
  }
  std::string error_of(const Draft& draft) {
    write(draft);
    const auto model = load_model(directory_);
    return model.ok() ? "no error" : model.error().message;
  }
  std::string drafter_error_of(const Draft& draft) {
    write(draft);
    const auto drafter = load_drafter(directory_, *parse_model_config(small_config()));
    return drafter.ok() ? "no error" : drafter.error().message;
  }

  fs::path directory_;
};

void expect_contains(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos)
      << "message: " << message << "\nexpected: " << part;
}

TEST_F(WeightLoaderTest, FieldsHoldTheirTensors) {
  write(model_draft());
  auto loaded = load_model(directory_);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  const LoadedModel model = std::move(loaded).value();
  EXPECT_TRUE(model.set_aside.empty());
  ASSERT_EQ(model.weights.layers.size(), 2u);
  const auto& gdn = std::get<GdnWeights>(model.weights.layers[0].mixer);
  const auto& attention = std::get<AttentionWeights>(model.weights.layers[1].mixer);
  // 2 * 4 + 15 channels, z 15, b 3, a 3.
  EXPECT_EQ(gdn.in.n(), 23 + 15 + 3 + 3);
  EXPECT_EQ(gdn.in.k(), 6);
  EXPECT_EQ(gdn.conv.shape(), (Shape{23, 3}));
  EXPECT_EQ(gdn.conv.dtype(), DType::kF32);
  EXPECT_EQ(gdn.conv.row<float>(22)[2], value_at(68));
  EXPECT_EQ(gdn.a_log.as<float>()[2], 3.0f);
  EXPECT_EQ(gdn.norm.shape(), (Shape{5}));
  EXPECT_EQ(attention.qkv.n(), 2 * 16 + 8 + 8);
  EXPECT_EQ(attention.out.k(), 16);
  EXPECT_EQ(attention.q_norm.dtype(), DType::kF32);
  EXPECT_EQ(model.weights.layers[0].mlp.gate_up.n(), 20);
  EXPECT_EQ(model.weights.layers[0].mlp.down.k(), 10);
  EXPECT_EQ(model.weights.head.n(), 11);
  EXPECT_EQ(model.weights.embed.dtype(), DType::kBF16);
  EXPECT_EQ(model.weights.embed.row<uint16_t>(1)[0], f32_to_bf16(7));
  // Matrices are the file's own bytes.
  const auto file = model.storage.files.find("model.embed_tokens.weight");
  EXPECT_EQ(model.weights.embed.data(), file.bytes.data());
}

TEST_F(WeightLoaderTest, ConditionalGenerationLayoutSetsTheRestAside) {
  Draft draft = model_draft("model.language_model.");
  draft.tensors.push_back({"model.visual.patch_embed.proj.weight", DType::kBF16, {2, 3, 2, 4, 4}});
  draft.tensors.push_back({"mtp.fc.weight", DType::kBF16, {6, 12}});
  draft.tensors.push_back(
      {"model.language_model.layers.1.self_attn.rotary_emb.inv_freq", DType::kF32, {2}});
  draft.tensors.push_back({"model.language_model.layers.1.self_attn.k_scale", DType::kF32, {}});
  for (const DType dtype : {DType::kF64, DType::kI8, DType::kI16, DType::kU16, DType::kU32,
                            DType::kU64, DType::kF8E5M2, DType::kF8E8M0}) {
    draft.tensors.push_back({fmt::format("mtp.{}", dtype_name(dtype)), dtype, {3}});
  }
  write(draft);
  const auto model = load_model(directory_);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->set_aside.size(), 12u);
}

TEST_F(WeightLoaderTest, TiedHeadIsTheEmbedding) {
  Draft draft = model_draft();
  draft.config["tie_word_embeddings"] = true;
  write(draft);  // with an lm_head.weight, which is set aside
  const auto with_head = load_model(directory_);
  ASSERT_TRUE(with_head.ok()) << with_head.error().message;
  EXPECT_EQ(with_head->set_aside, std::vector<std::string>{"lm_head.weight"});
  draft.drop("lm_head.weight");
  write(draft);
  const auto model = load_model(directory_);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(floats_of(model->weights.head.parts[0]).data(), model->weights.embed.data());
  draft.config["tie_word_embeddings"] = false;
  expect_contains(error_of(draft), "tensor 'lm_head.weight' [11, 6] is missing");
}

TEST_F(WeightLoaderTest, MixedDtypesAreWidenedOrKept) {
  Draft draft = model_draft();
  draft.tensor("model.layers.0.linear_attn.A_log").dtype = DType::kBF16;
  draft.tensor("model.layers.0.linear_attn.dt_bias").dtype = DType::kF32;
  draft.tensor("model.layers.1.self_attn.k_proj.weight").dtype = DType::kF32;
  write(draft);
  const auto model = load_model(directory_);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto& gdn = std::get<GdnWeights>(model->weights.layers[0].mixer);
  EXPECT_EQ(gdn.a_log.as<float>()[1], 2.0f);
  EXPECT_EQ(gdn.dt_bias.as<float>()[1], 2.0f);
  const auto& attention = std::get<AttentionWeights>(model->weights.layers[1].mixer);
  EXPECT_EQ(floats_of(attention.qkv.parts[0]).dtype(), DType::kBF16);
  EXPECT_EQ(floats_of(attention.qkv.parts[1]).dtype(), DType::kF32);
}

// A header of odd length puts every tensor at an odd address: they are copied, not refused.
TEST_F(WeightLoaderTest, MisalignedTensorsAreCopied) {
  write(model_draft());
  const fs::path path = directory_ / "model.safetensors";
  const auto before = read_file(path, 1 << 20);
  ASSERT_TRUE(before.ok());
  std::string text = *before;
  uint64_t length = 0;
  std::memcpy(&length, text.data(), 8);
  text.insert(8 + length, " ");
  ++length;
  std::memcpy(text.data(), &length, 8);
  ASSERT_TRUE(write_file(path, text));
  const auto model = load_model(directory_);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(reinterpret_cast<uintptr_t>(model->weights.embed.data()) % 2, 0u);
  EXPECT_EQ(model->weights.embed.row<uint16_t>(1)[0], f32_to_bf16(7));
  EXPECT_EQ(std::get<GdnWeights>(model->weights.layers[0].mixer).a_log.as<float>()[2], 3.0f);
}

TEST_F(WeightLoaderTest, BadTensorsAreNamed) {
  const std::string k_proj = "model.layers.1.self_attn.k_proj.weight";
  Draft draft = model_draft();
  draft.drop(k_proj);
  expect_contains(error_of(draft), "tensor '" + k_proj + "' [8, 6] is missing");
  draft.tensors.push_back({"model.layers.1.self_attn.key.weight", DType::kBF16, {8, 6}});
  expect_contains(error_of(draft), "unexpected 'model.layers.1.self_attn.key.weight'");

  draft = model_draft();
  draft.tensors.push_back({"model.layers.2.extra.weight", DType::kBF16, {1}});
  expect_contains(error_of(draft), "tensor 'model.layers.2.extra.weight': is not part of");

  draft = model_draft();
  draft.tensor(k_proj).shape = {6, 8};
  expect_contains(error_of(draft), "'" + k_proj + "': shape [6, 8]; expected [8, 6]");
  draft.tensor(k_proj).shape = {48};
  expect_contains(error_of(draft), "'" + k_proj + "': shape [48]; expected [8, 6]");

  draft = model_draft();
  draft.tensor(k_proj).dtype = DType::kI32;
  expect_contains(error_of(draft), "'" + k_proj + "': dtype I32; expected BF16, F16 or F32");
}

TEST_F(WeightLoaderTest, ConfigThatContradictsTheTensors) {
  Draft draft = model_draft();
  draft.config["hidden_size"] = 7;
  expect_contains(error_of(draft), "'model.embed_tokens.weight': shape [11, 6]; expected [11, 7]");
  draft = model_draft();
  draft.config["layer_types"] = {"full_attention", "full_attention"};
  expect_contains(error_of(draft), "'model.layers.0.self_attn.q_proj.weight'");
  draft = model_draft();
  draft.config["num_key_value_heads"] = 0;
  expect_contains(error_of(draft), "config.json: num_key_value_heads is 0");
}

TEST_F(WeightLoaderTest, DrafterFieldsHoldTheirTensors) {
  for (const std::string prefix : {"", "model."}) {
    write(drafter_draft(prefix));
    const auto drafter = load_drafter(directory_, *parse_model_config(small_config()));
    ASSERT_TRUE(drafter.ok()) << drafter.error().message;
    EXPECT_EQ(drafter->weights.fc.k(), 12);
    ASSERT_EQ(drafter->weights.layers.size(), 1u);
    EXPECT_EQ(drafter->weights.layers[0].kv.n(), 8);
    EXPECT_EQ(drafter->weights.layers[0].q.n(), 8);
    EXPECT_EQ(drafter->weights.layers[0].mlp.gate_up.n(), 14);
    EXPECT_EQ(drafter->weights.hidden_norm.as<float>()[5], 6.0f);
  }
}

TEST_F(WeightLoaderTest, BadDraftersAreNamed) {
  Draft draft = drafter_draft();
  draft.drop("fc.weight");
  expect_contains(drafter_error_of(draft), "tensor 'fc.weight' [6, 12] is missing");
  draft = drafter_draft();
  draft.tensors.push_back({"lm_head.weight", DType::kBF16, {11, 6}});
  expect_contains(drafter_error_of(draft), "tensor 'lm_head.weight'");
  draft = drafter_draft();
  draft.config["dflash_config"]["mask_token_id"] = 11;
  expect_contains(drafter_error_of(draft), "config.json: mask_token_id is 11");
}

// Every checkpoint that lies in the repository loads with nothing left over.
TEST(WeightLoaderFilesTest, CheckpointsOfTheRepository) {
  const fs::path root = GALLOP_SOURCE_DIR;
  for (const auto& [model, drafter] : std::vector<std::pair<fs::path, fs::path>>{
           {root / "models/foal/target", root / "models/foal/drafter"},
           {root / "tests/golden/text-small/model", root / "tests/golden/text-small/drafter"},
           {root / "tests/golden/text-odd/model", root / "tests/golden/text-odd/drafter"}}) {
    const auto loaded = load_model(model);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_TRUE(loaded->set_aside.empty()) << model;
    const auto loaded_drafter = load_drafter(drafter, loaded->config);
    ASSERT_TRUE(loaded_drafter.ok()) << loaded_drafter.error().message;
    EXPECT_TRUE(loaded_drafter->set_aside.empty()) << drafter;
  }
}

}  // namespace
}  // namespace gallop::model
