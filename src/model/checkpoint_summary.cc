#include "model/checkpoint_summary.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <string_view>
#include <utility>

#include "codec/e4m3.h"

namespace gallop::model {
namespace {

using checkpoint::HfCheckpoint;
using checkpoint::StoredTensor;
using checkpoint::TensorInfo;

constexpr size_t kMaxNamed = 10;

// Ends of names that stand beside a module's weight. Source: NVIDIA Model-Optimizer,
// modelopt/torch/export/unified_export_hf.py; vllm-project/compressed-tensors,
// compressors/nvfp4_quantized.py; Qwen and DeepSeek FP8 checkpoints.
constexpr std::array<std::string_view, 9> kBeside = {
    "weight_scale",      "weight_scale_2",     "weight_scale_inv",
    "input_scale",       "pre_quant_scale",    "weight_global_scale",
    "weight_zero_point", "input_global_scale", "weight_shape"};

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

std::string_view module_of(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(0, dot);
}

bool stands_beside(std::string_view name) {
  return std::find(kBeside.begin(), kBeside.end(), last_part(name)) != kBeside.end();
}

const TensorInfo* find(const HfCheckpoint& files, std::string_view module, const char* ending) {
  return files.find(std::string(module) + ending).info;
}

std::string fp8_format(const HfCheckpoint& files, std::string_view module) {
  if (find(files, module, ".weight_scale_inv") != nullptr) return "FP8 (128x128 scales)";
  const TensorInfo* scale = find(files, module, ".weight_scale");
  if (scale == nullptr) return "FP8 (no scale)";
  return scale->elements() == 1 ? "FP8 (one scale)" : "FP8 (a scale for each row)";
}

// Of the tensor that holds a module's values.
std::string format_of(const HfCheckpoint& files, const TensorInfo& tensor) {
  const std::string_view module = module_of(tensor.name);
  if (last_part(tensor.name) == "weight_packed") return "NVFP4 (compressed-tensors)";
  if (last_part(tensor.name) == "weight") {
    const bool scaled = find(files, module, ".weight_scale") != nullptr;
    if (tensor.dtype == DType::kU8 && scaled) return "NVFP4 (ModelOpt)";
    if (tensor.dtype == DType::kF8E4M3) return fp8_format(files, module);
  }
  return std::string(dtype_name(tensor.dtype));
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

void count_nans(const StoredTensor& stored, CheckpointSummary& summary) {
  if (stored.info->dtype != DType::kF8E4M3 || last_part(stored.info->name) != "weight_scale")
    return;
  const auto nans = std::count_if(stored.bytes.begin(), stored.bytes.end(), codec::is_e4m3_nan);
  summary.block_scales += static_cast<int64_t>(stored.bytes.size());
  summary.nan_scales += nans;
  if (nans > 0 && summary.nan_tensors.size() < kMaxNamed) {
    summary.nan_tensors.push_back(stored.info->name);
  }
}

}  // namespace

CheckpointSummary summarise(const HfCheckpoint& files) {
  CheckpointSummary summary;
  summary.files = static_cast<int64_t>(files.files().size());
  std::map<std::pair<std::string, std::string>, ModuleGroup> groups;  // by kind and format
  std::map<std::string_view, ModuleGroup*, std::less<>> of_module;
  for (const std::string_view name : files.names()) {
    const TensorInfo& tensor = *files.find(name).info;
    ++summary.tensors;
    summary.bytes += bytes_of(tensor);
    if (stands_beside(name)) continue;
    const std::string format = format_of(files, tensor);
    const std::string kind = kind_of(tensor);
    ModuleGroup& group = groups[{kind, format}];
    group.kind = kind;
    group.format = format;
    ++group.count;
    group.bytes += bytes_of(tensor);
    const int64_t values = tensor.elements() * (format.starts_with("NVFP4") ? 2 : 1);
    group.parameters += values;
    summary.parameters += values;
    of_module[module_of(name)] = &group;
  }
  for (const std::string_view name : files.names()) {
    if (!stands_beside(name)) continue;
    const StoredTensor stored = files.find(name);
    if (last_part(name) == "pre_quant_scale") ++summary.pre_quant_scales;
    count_nans(stored, summary);
    const auto owner = of_module.find(module_of(name));
    if (owner != of_module.end()) owner->second->bytes += bytes_of(*stored.info);
  }
  for (auto& [key, group] : groups) summary.groups.push_back(std::move(group));
  std::stable_sort(summary.groups.begin(), summary.groups.end(),
                   [](const ModuleGroup& a, const ModuleGroup& b) { return a.bytes > b.bytes; });
  return summary;
}

}  // namespace gallop::model
