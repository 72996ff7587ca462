#include "model/checkpoint_summary.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "model/weight_format.h"

namespace gallop::model {
namespace {

using checkpoint::HfCheckpoint;
using checkpoint::StoredTensor;
using checkpoint::TensorInfo;

constexpr size_t kMaxNamed = 10;

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

std::string_view module_of(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(0, dot);
}

// Parts of a name that are numbers say which, not what.
bool is_number(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
  });
}

std::string kind_of(const TensorInfo& tensor) {
  const std::string_view name = tensor.name;
  if (name.starts_with("mtp.")) return "mtp";
  if (name.starts_with("model.visual.") || name.starts_with("visual.")) return "vision";
  if (tensor.shape.size() < 2) return "norms and vectors";
  std::string_view module = module_of(name);
  while (is_number(last_part(module)) && module.find('.') != std::string_view::npos) {
    module = module_of(module);
  }
  return std::string(last_part(module));
}

int64_t bytes_of(const TensorInfo& tensor) {
  return static_cast<int64_t>(tensor.end - tensor.begin);
}

// The number behind "layers." in a name.
std::optional<int64_t> layer_of(std::string_view name) {
  constexpr std::string_view kLayers = "layers.";
  const size_t begin = name.find(kLayers);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::string_view number = name.substr(begin + kLayers.size());
  int64_t layer = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), layer);
  return error == std::errc() ? std::optional(layer) : std::nullopt;
}

class Summary {
 public:
  explicit Summary(const HfCheckpoint& files) : files_(files) {}

  CheckpointSummary make();

 private:
  void add_linear(const TensorInfo& weight, TensorBinding linear);
  void add_tensor(const TensorInfo& tensor);
  // The group of a module, with one more of it.
  ModuleGroup& grow(const TensorInfo& tensor, const std::string& format, int64_t parameters);
  void take(const std::string& name, ModuleGroup& group);
  void count_nans(const LinearTensors& tensors, ops::LinearPart& part, ModuleGroup& group);

  const HfCheckpoint& files_;
  CheckpointSummary summary_;
  std::map<std::pair<std::string, std::string>, ModuleGroup> groups_;  // by kind and format
  std::set<std::string, std::less<>> taken_;  // tensors that belong to a linear
};

CheckpointSummary Summary::make() {
  summary_.files = static_cast<int64_t>(files_.files().size());
  for (const std::string_view name : files_.names()) {
    const StoredTensor stored = files_.find(name);
    ++summary_.tensors;
    summary_.bytes += bytes_of(*stored.info);
    std::optional<TensorBinding> linear = linear_of(stored);
    if (linear) add_linear(*stored.info, *std::move(linear));
  }
  for (const std::string_view name : files_.names()) {
    if (!taken_.contains(name)) add_tensor(*files_.find(name).info);
  }
  for (auto& [key, group] : groups_) {
    summary_.parameters += group.parameters;
    summary_.pre_quant_scales += group.pre_quant_scales;
    summary_.nan_scales += group.nan_scales;
    summary_.groups.push_back(std::move(group));
  }
  std::stable_sort(summary_.groups.begin(), summary_.groups.end(),
                   [](const ModuleGroup& a, const ModuleGroup& b) { return a.bytes > b.bytes; });
  return std::move(summary_);
}

void Summary::add_linear(const TensorInfo& weight, TensorBinding linear) {
  ops::LinearPart part;
  linear.part = &part;
  const Result<LinearTensors> tensors = bind_linear(linear, files_);
  if (!tensors.ok()) return;
  if (tensors->placed.front().name != weight.name) return;  // packed codes beside it go before it
  ModuleGroup& group = grow(weight, tensors->format, linear.shape[0] * linear.shape[1]);
  for (const TensorBinding& placed : tensors->placed) {
    take(placed.name, group);
    if (placed.field == &part.input_scale) ++group.pre_quant_scales;
  }
  for (const std::string& name : tensors->scalars) take(name, group);
  count_nans(*tensors, part, group);
}

void Summary::add_tensor(const TensorInfo& tensor) {
  const std::string format(dtype_name(tensor.dtype));
  grow(tensor, format, tensor.elements()).bytes += bytes_of(tensor);
}

ModuleGroup& Summary::grow(const TensorInfo& tensor, const std::string& format,
                           int64_t parameters) {
  const std::string kind = kind_of(tensor);
  ModuleGroup& group = groups_[{kind, format}];
  group.kind = kind;
  group.format = format;
  ++group.count;
  group.parameters += parameters;
  if (const std::optional<int64_t> layer = layer_of(tensor.name)) group.layers.insert(*layer);
  return group;
}

void Summary::take(const std::string& name, ModuleGroup& group) {
  const StoredTensor stored = files_.find(name);
  if (stored.info != nullptr && taken_.insert(name).second) group.bytes += bytes_of(*stored.info);
}

// Points the part at its block scales, as the loader does.
void Summary::count_nans(const LinearTensors& tensors, ops::LinearPart& part, ModuleGroup& group) {
  auto* weight = std::get_if<ops::Nvfp4Weight>(&part.weight);
  for (const TensorBinding& placed : tensors.placed) {
    if (weight == nullptr || placed.field != &weight->scales) continue;
    const StoredTensor stored = files_.find(placed.name);
    if (stored.info == nullptr || stored.info->dtype != DType::kF8E4M3) continue;
    const auto blocks = static_cast<int64_t>(stored.bytes.size());
    weight->scales =
        TensorView(const_cast<uint8_t*>(stored.bytes.data()), DType::kF8E4M3, Shape{blocks});
    const int64_t nans = count_nan_scales(part);
    summary_.block_scales += blocks;
    group.nan_scales += nans;
    if (nans > 0 && summary_.nan_tensors.size() < kMaxNamed) {
      summary_.nan_tensors.push_back(placed.name);
    }
  }
}

}  // namespace

CheckpointSummary summarise(const HfCheckpoint& files) { return Summary(files).make(); }

}  // namespace gallop::model
