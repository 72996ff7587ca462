// The CPU graph against tensors made by Hugging Face transformers (tests/golden/README.md): logits,
// hidden states of chosen layers, the drafter's block, and whole greedy continuations.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/testing/stored_view.h"
#include "engine/scorer.h"
#include "model/weight_loader.h"
#include "ops/cpu/cpu_backend.h"

namespace gallop {
namespace {

namespace fs = std::filesystem;

// Both programs compute in float32 from the same bf16 weights; they differ in the order of
// additions and in the last bit of exp, log, sin and cos. A chain of n additions has a relative
// error of at most n 2^-24; its expected size is sqrt(n) 2^-24. Depth adds the errors of about 12
// chained operations a layer, n up to 1,536 (GDN state and attention over the context add their
// lengths), and norms divide by values that may be small: sqrt(12 * 8 layers * 1,536) 2^-24
// = 2.3e-5, with a factor of four for cancellation in the residual stream.
constexpr double kRelative = 1e-4;

// ||got - expected|| / ||expected||, and where they differ most.
struct Difference {
  double relative = 0;
  size_t worst = 0;
};

Difference compare(const std::vector<float>& got, const float* expected) {
  double difference = 0;
  double norm = 0;
  Difference result;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(static_cast<double>(got[i]) - expected[i], 2);
    norm += std::pow(static_cast<double>(expected[i]), 2);
    const size_t w = result.worst;
    if (!(std::abs(got[i] - expected[i]) <= std::abs(got[w] - expected[w]))) result.worst = i;
  }
  result.relative = std::sqrt(difference / norm);
  return result;
}

struct Case {
  fs::path directory;  // golden.json, golden.safetensors
  fs::path model;
  fs::path drafter;

  friend void PrintTo(const Case& value, std::ostream* out) {
    *out << value.directory.filename().string();
  }
};

// Random models of the repository, and others of the same layout beside the checkout.
std::vector<Case> random_cases() {
  const fs::path root = GALLOP_SOURCE_DIR;
  std::vector<Case> found;
  const auto add = [&found](const fs::path& path) {
    found.push_back({path, path / "model", path / "drafter"});
  };
  add(root / "tests/golden/text-small");
  add(root / "tests/golden/text-odd");
  const fs::path others = root / "../shared/goldens/cases";
  if (!fs::exists(others)) return found;
  for (const auto& entry : fs::directory_iterator(others)) {
    if (entry.path().filename().string().starts_with("text-")) add(entry.path());
  }
  return found;
}

std::vector<Case> cases() {
  const fs::path root = GALLOP_SOURCE_DIR;
  std::vector<Case> found = random_cases();
  found.push_back(
      {root / "tests/golden/foal", root / "models/foal/target", root / "models/foal/drafter"});
  return found;
}

class Parity : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    Result<Json> json = load_json_file(GetParam().directory / "golden.json");
    ASSERT_TRUE(json.ok()) << json.error().message;
    json_ = std::move(json).value();
    auto tensors = checkpoint::SafetensorsFile::open(GetParam().directory / "golden.safetensors");
    ASSERT_TRUE(tensors.ok()) << tensors.error().message;
    tensors_ = std::make_unique<checkpoint::SafetensorsFile>(std::move(tensors).value());
    Result<model::LoadedModel> target = model::load_model(GetParam().model);
    ASSERT_TRUE(target.ok()) << target.error().message;
    target_ = std::make_unique<model::LoadedModel>(std::move(target).value());
    Result<model::LoadedDrafter> drafter = model::load_drafter(GetParam().drafter, target_->config);
    ASSERT_TRUE(drafter.ok()) << drafter.error().message;
    drafter_ = std::make_unique<model::LoadedDrafter>(std::move(drafter).value());
    backend_ = ops::make_cpu_backend(2);
  }

  std::unique_ptr<engine::Scorer> scorer(int32_t chunk, const std::vector<int32_t>& layers = {}) {
    auto made = engine::Scorer::create(
        *target_, drafter_.get(), {.max_tokens = 512, .chunk = chunk, .layers = layers}, *backend_);
    EXPECT_TRUE(made.ok());
    return std::move(made).value();
  }

  void expect_close(const std::vector<float>& got, const std::string& name) {
    const TensorView expected = checkpoint::stored_view(*tensors_, name);
    ASSERT_FALSE(expected.empty()) << name;
    ASSERT_EQ(static_cast<int64_t>(got.size()), expected.shape().elements()) << name;
    const auto* values = expected.as<const float>();
    const Difference difference = compare(got, values);
    const auto width = static_cast<size_t>(expected.extent(1));
    EXPECT_LT(difference.relative, kRelative)
        << name << ": worst at row " << difference.worst / width << ", column "
        << difference.worst % width << ": " << got[difference.worst] << ", expected "
        << values[difference.worst];
    worst_ = std::max(worst_, difference.relative);
  }

  // The goldens' entry for the last layer is taken after model.norm.
  std::vector<float> final_normed(const std::vector<float>& rows) const {
    const model::ModelConfig& config = target_->config;
    const float* weight = target_->weights.norm.as<const float>();
    std::vector<float> normed = rows;
    const auto width = static_cast<size_t>(config.hidden);
    for (size_t begin = 0; begin < rows.size(); begin += width) {
      double sum = 0;
      for (size_t i = 0; i < width; ++i) sum += std::pow(static_cast<double>(rows[begin + i]), 2);
      const double scale = 1 / std::sqrt(sum / static_cast<double>(width) + config.rms_norm_eps);
      for (size_t i = 0; i < width; ++i) {
        normed[begin + i] = static_cast<float>(rows[begin + i] * scale * (1.0 + weight[i]));
      }
    }
    return normed;
  }

  Json json_;
  std::unique_ptr<checkpoint::SafetensorsFile> tensors_;
  std::unique_ptr<model::LoadedModel> target_;
  std::unique_ptr<model::LoadedDrafter> drafter_;
  std::unique_ptr<ops::Backend> backend_;
  double worst_ = 0;
};

TEST_P(Parity, LogitsAndHiddenStates) {
  const auto last = static_cast<int32_t>(target_->config.layers()) - 1;
  for (size_t i = 0; i < json_["cases"].size(); ++i) {
    const auto ids = json_["cases"][i]["ids"].get<std::vector<int32_t>>();
    const auto layers = json_["cases"][i]["hidden_layers"].get<std::vector<int32_t>>();
    const auto scores = scorer(64, layers)->score(ids);
    ASSERT_TRUE(scores.ok());
    expect_close(scores->logits, fmt::format("{}.logits", i));
    for (size_t l = 0; l < layers.size(); ++l) {
      const auto& rows = scores->hidden[l];
      expect_close(layers[l] == last ? final_normed(rows) : rows,
                   fmt::format("{}.hidden.{}", i, layers[l]));
    }
    if (tensors_->find(fmt::format("{}.draft.logits", i)) != nullptr) {
      expect_close(scores->draft_hidden, fmt::format("{}.draft.hidden", i));
      expect_close(scores->draft_logits, fmt::format("{}.draft.logits", i));
    }
  }
  std::printf("worst relative error %.2e (bound %.0e)\n", worst_, kRelative);
}

// The greedy continuation as one prompt: transformers made its rows step by step with a cache.
TEST_P(Parity, GreedyContinuation) {
  const auto scorer = this->scorer(64);
  for (size_t i = 0; i < json_["cases"].size(); ++i) {
    const Json& entry = json_["cases"][i];
    if (!entry.contains("greedy")) continue;
    auto ids = entry["ids"].get<std::vector<int32_t>>();
    const auto greedy = entry["greedy"].get<std::vector<int32_t>>();
    const size_t prompt = ids.size();
    ids.insert(ids.end(), greedy.begin(), greedy.end() - 1);
    const auto scores = scorer->score(ids);
    ASSERT_TRUE(scores.ok());
    const auto vocab = static_cast<size_t>(target_->config.vocab);
    for (size_t t = 0; t < greedy.size(); ++t) {
      const float* row = scores->logits.data() + (prompt - 1 + t) * vocab;
      EXPECT_EQ(std::max_element(row, row + vocab) - row, greedy[t]) << "case " << i << " at " << t;
    }
    const std::vector<float> steps(
        scores->logits.begin() + static_cast<std::ptrdiff_t>((prompt - 1) * vocab),
        scores->logits.begin() + static_cast<std::ptrdiff_t>((prompt + 7) * vocab));
    expect_close(steps, fmt::format("{}.step_logits", i));
  }
}

// foal has its blocks beside its prompts; the random models have one of their own.
using BlockParity = Parity;

TEST_P(BlockParity, FirstDraftedBlock) {
  const auto scorer = this->scorer(64);
  auto ids = json_["spec"]["ids"].get<std::vector<int32_t>>();
  ids.push_back(json_["spec"]["spec_tokens"][0].get<int32_t>());
  const auto scores = scorer->score(ids);
  ASSERT_TRUE(scores.ok());
  expect_close(scores->draft_hidden, "draft.hidden");
  expect_close(scores->draft_logits, "draft.logits");
}

TEST_P(Parity, ChunksAndThreadsChangeNoBit) {
  const auto ids = json_["cases"].back()["ids"].get<std::vector<int32_t>>();
  const auto whole = scorer(512, {0})->score(ids);
  ASSERT_TRUE(whole.ok());
  for (const int32_t chunk : {1, 7, 64}) {
    for (const int threads : {1, 3}) {
      backend_ = ops::make_cpu_backend(threads);
      const auto parts = scorer(chunk, {0})->score(ids);
      ASSERT_TRUE(parts.ok());
      EXPECT_EQ(parts->logits, whole->logits) << chunk;
      EXPECT_EQ(parts->hidden, whole->hidden) << chunk;
      EXPECT_EQ(parts->draft_logits, whole->draft_logits) << chunk;
    }
  }
}

std::string case_name(const testing::TestParamInfo<Case>& param_info) {
  std::string name =
      param_info.param.directory.filename().string() + "_" + std::to_string(param_info.index);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Golden, Parity, testing::ValuesIn(cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Golden, BlockParity, testing::ValuesIn(random_cases()), case_name);

}  // namespace
}  // namespace gallop
