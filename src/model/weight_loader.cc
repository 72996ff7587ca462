#include "model/weight_loader.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>
#include <optional>
#include <string_view>
#include <unordered_set>

#include <fmt/format.h>

#include "base/log.h"
#include "model/quantization_config.h"
#include "model/weight_format.h"
#include "model/weight_table.h"
#include "tensor/widen.h"

namespace gallop::model {
namespace {

using checkpoint::HfCheckpoint;
using checkpoint::shape_text;
using checkpoint::StoredTensor;

constexpr std::align_val_t kCopyAlignment{64};

Error tensor_error(const StoredTensor& stored, const std::string& what) {
  return Error{fmt::format("{}: tensor '{}': {}", stored.file->string(), stored.info->name, what),
               ErrorCode::kInvalidInput, stored.info->name};
}

Error config_error(const HfCheckpoint& files, const Error& error) {
  const std::filesystem::path path = files.directory() / "config.json";
  return Error{path.string() + ": " + error.message, error.code, error.param};
}

// Scales for caches of a narrower dtype: this version's caches are not narrower.
bool is_cache_scale(std::string_view name) {
  return name.ends_with(".k_scale") || name.ends_with(".v_scale");
}

// What may lie in a checkpoint without being used: other towers, buffers that are computed here,
// and scales for caches.
bool may_be_set_aside(std::string_view name, bool tied_head) {
  return name.starts_with("mtp.") || name.starts_with("model.visual.") ||
         name.starts_with("visual.") || name.ends_with("rotary_emb.inv_freq") ||
         is_cache_scale(name) || (tied_head && name == "lm_head.weight");
}

bool any_name_begins(const HfCheckpoint& files, std::string_view prefix) {
  const std::vector<std::string_view> names = files.names();
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return name.starts_with(prefix); });
}

Result<void> refuse_foreign(const HfCheckpoint& files, bool tied_head) {
  for (const std::string_view name : files.names()) {
    const std::optional<std::string_view> scheme = foreign_scheme(name);
    if (!scheme || may_be_set_aside(name, tied_head)) continue;
    Error error = tensor_error(
        files.find(name),
        fmt::format("is part of {}; expected weights of floats, NVFP4 or FP8", *scheme));
    error.code = ErrorCode::kUnsupported;
    return error;
  }
  return {};
}

bool has_dtype(TensorKind kind, DType dtype) {
  if (kind == TensorKind::kCodes) return dtype == DType::kU8;
  if (kind == TensorKind::kE4m3) return dtype == DType::kF8E4M3;
  return is_weight_dtype(dtype);
}

std::string_view dtypes_of(TensorKind kind) {
  if (kind == TensorKind::kCodes) return "U8 (two NVFP4 codes in a byte)";
  if (kind == TensorKind::kE4m3) return "F8_E4M3";
  return "BF16, F16 or F32";
}

// A vector may be stored with extents of 1 in it (conv1d [channels, 1, width]), as the table says.
Result<void> check_binding(const TensorBinding& binding, const HfCheckpoint& files,
                           const std::optional<std::string>& extra) {
  const StoredTensor stored = files.find(binding.name);
  if (stored.info == nullptr) {
    std::string message = fmt::format("{}: tensor '{}' {} is missing", files.directory().string(),
                                      binding.name, shape_text(binding.shape));
    if (extra) message += fmt::format("; there is an unexpected '{}'", *extra);
    return Error{std::move(message), ErrorCode::kInvalidInput, binding.name};
  }
  if (!has_dtype(binding.kind, stored.info->dtype)) {
    return tensor_error(stored, fmt::format("dtype {}; expected {}", dtype_name(stored.info->dtype),
                                            dtypes_of(binding.kind)));
  }
  if (stored.info->shape != binding.shape) {
    return tensor_error(stored,
                        fmt::format("shape {}; expected {} from config.json",
                                    shape_text(stored.info->shape), shape_text(binding.shape)));
  }
  return {};
}

// The tensors that the files hold for the table's: each linear in its own format.
Result<LinearTensors> expand_linears(const std::vector<TensorBinding>& table,
                                     const HfCheckpoint& files) {
  LinearTensors all;
  for (const TensorBinding& binding : table) {
    if (binding.kind != TensorKind::kLinear) {
      all.placed.push_back(binding);
      continue;
    }
    ASSIGN_OR_RETURN(LinearTensors linear, bind_linear(binding, files));
    std::move(linear.placed.begin(), linear.placed.end(), std::back_inserter(all.placed));
    std::move(linear.scalars.begin(), linear.scalars.end(), std::back_inserter(all.scalars));
  }
  return all;
}

// Every tensor of the files is bound or set aside; gives the names of the latter.
Result<std::vector<std::string>> check_names(const LinearTensors& tensors,
                                             const HfCheckpoint& files, bool tied_head) {
  const std::vector<TensorBinding>& bindings = tensors.placed;
  std::unordered_set<std::string_view> bound(tensors.scalars.begin(), tensors.scalars.end());
  for (const TensorBinding& binding : bindings) bound.insert(binding.name);
  std::vector<std::string> set_aside;
  std::optional<std::string> extra;
  for (const std::string_view name : files.names()) {
    if (bound.contains(name)) continue;
    if (may_be_set_aside(name, tied_head)) {
      if (is_cache_scale(name)) {
        const Result<float> checked = read_scale(files.find(name));
        if (!checked.ok()) return checked.error();
      }
      set_aside.emplace_back(name);
    } else if (!extra) {
      extra = std::string(name);
    }
  }
  for (const TensorBinding& binding : bindings) {
    RETURN_IF_ERROR(check_binding(binding, files, extra));
  }
  if (extra) {
    return tensor_error(files.find(*extra), "is not part of the model that config.json describes");
  }
  return set_aside;
}

// The shape without its extents of 1 in the middle: what the field's view has.
Shape field_shape(const TensorBinding& binding) {
  if (binding.view) return *binding.view;
  const std::vector<int64_t>& shape = binding.shape;
  if (shape.size() == 3) {
    CHECK_EQ(shape[1], 1);
    return {shape[0], shape[2]};
  }
  return shape.size() == 2 ? Shape{shape[0], shape[1]} : Shape{shape[0]};
}

bool needs_copy(const TensorBinding& binding, const StoredTensor& stored) {
  const size_t width = dtype_bytes(stored.info->dtype);
  const bool misaligned = reinterpret_cast<uintptr_t>(stored.bytes.data()) % width != 0;
  return misaligned || (binding.kind == TensorKind::kVector && stored.info->dtype != DType::kF32);
}

DType copy_dtype(const TensorBinding& binding, const StoredTensor& stored) {
  return binding.kind == TensorKind::kVector ? DType::kF32 : stored.info->dtype;
}

Result<Buffer> allocate(size_t bytes) {
  if (bytes == 0) return Buffer{};
  void* data = ::operator new(bytes, kCopyAlignment, std::nothrow);
  if (data == nullptr) {
    return Error{fmt::format("no memory for {} bytes of weights", bytes), ErrorCode::kUnavailable};
  }
  return Buffer(data, bytes, [](void* memory) { ::operator delete(memory, kCopyAlignment); });
}

// Points every field at its tensor: where it lies in the file, or at a copy in `storage`.
Result<void> fill_fields(const std::vector<TensorBinding>& bindings, WeightStorage& storage) {
  Arena arena;
  std::vector<size_t> numbers(bindings.size());
  for (size_t i = 0; i < bindings.size(); ++i) {
    const StoredTensor stored = storage.files.find(bindings[i].name);
    if (!needs_copy(bindings[i], stored)) continue;
    numbers[i] = arena.reserve(copy_dtype(bindings[i], stored), field_shape(bindings[i]));
  }
  ASSIGN_OR_RETURN(storage.copies, allocate(arena.bytes()));
  for (size_t i = 0; i < bindings.size(); ++i) {
    const StoredTensor stored = storage.files.find(bindings[i].name);
    if (!needs_copy(bindings[i], stored)) {
      *bindings[i].field = TensorView(const_cast<uint8_t*>(stored.bytes.data()), stored.info->dtype,
                                      field_shape(bindings[i]));
      continue;
    }
    const TensorView copy = arena.place(numbers[i], storage.copies);
    if (bindings[i].kind == TensorKind::kVector) {
      widen(stored.bytes.data(), stored.info->dtype, copy.shape().elements(), copy.as<float>());
    } else {
      std::memcpy(copy.data(), stored.bytes.data(), stored.bytes.size());
    }
    *bindings[i].field = copy;
  }
  return {};
}

// Blocks that a faulty export left without a scale, in all linears together; logged once.
int64_t count_nan_scales(const std::vector<TensorBinding>& table, const HfCheckpoint& files) {
  int64_t blocks = 0;
  for (const TensorBinding& binding : table) {
    if (binding.kind == TensorKind::kLinear) blocks += model::count_nan_scales(*binding.part);
  }
  if (blocks > 0) {
    log_warning(fmt::format("{}: the scale of {} NVFP4 blocks is NaN; their weights count as 0",
                            files.directory().string(), blocks));
  }
  return blocks;
}

// Checks all names before the first byte of data is touched, but for scales.
template <typename Loaded>
Result<void> load_tensors(const std::vector<TensorBinding>& table, bool tied_head, Loaded& loaded) {
  const HfCheckpoint& files = loaded.storage.files;
  RETURN_IF_ERROR(check_quantization_file(files.directory()));
  RETURN_IF_ERROR(refuse_foreign(files, tied_head));
  ASSIGN_OR_RETURN(const LinearTensors tensors, expand_linears(table, files));
  ASSIGN_OR_RETURN(loaded.set_aside, check_names(tensors, files, tied_head));
  RETURN_IF_ERROR(fill_fields(tensors.placed, loaded.storage));
  loaded.nan_scales = count_nan_scales(table, files);
  return {};
}

int64_t bytes_of(const HfCheckpoint& files, const std::vector<std::string>& set_aside) {
  int64_t bytes = 0;
  for (const std::string_view name : files.names()) {
    bytes += static_cast<int64_t>(files.find(name).bytes.size());
  }
  for (const std::string& name : set_aside) {
    bytes -= static_cast<int64_t>(files.find(name).bytes.size());
  }
  return bytes;
}

}  // namespace

int64_t weight_bytes(const LoadedModel& model) {
  return bytes_of(model.storage.files, model.set_aside);
}

int64_t weight_bytes(const LoadedDrafter& drafter) {
  return bytes_of(drafter.storage.files, drafter.set_aside);
}

Result<LoadedModel> load_model(const std::filesystem::path& directory) {
  ASSIGN_OR_RETURN(HfCheckpoint files, HfCheckpoint::open(directory));
  const Result<ModelConfig> config = parse_model_config(files.config());
  if (!config.ok()) return config_error(files, config.error());
  // The conditional-generation layout keeps the text model beside the vision tower.
  const bool nested = any_name_begins(files, "model.language_model.");
  LoadedModel model{.config = *config,
                    .weights = {},
                    .set_aside = {},
                    .nan_scales = 0,
                    .storage = {.files = std::move(files), .copies = {}}};
  const std::vector<TensorBinding> bindings =
      bind_tensors(model.config, nested ? "model.language_model." : "model.", model.weights);
  RETURN_IF_ERROR(load_tensors(bindings, model.config.tied_head, model));
  if (model.config.tied_head) {
    model.weights.head.parts[0].weight = ops::FloatWeight{.weight = model.weights.embed};
  }
  return model;
}

Result<LoadedDrafter> load_drafter(const std::filesystem::path& directory,
                                   const ModelConfig& target) {
  ASSIGN_OR_RETURN(HfCheckpoint files, HfCheckpoint::open(directory));
  const Result<DrafterConfig> config = parse_drafter_config(files.config());
  if (!config.ok()) return config_error(files, config.error());
  const Result<void> match = check_drafter_matches(*config, target);
  if (!match.ok()) return config_error(files, match.error());
  const bool prefixed = any_name_begins(files, "model.layers.");
  LoadedDrafter drafter{.config = *config,
                        .weights = {},
                        .set_aside = {},
                        .nan_scales = 0,
                        .storage = {.files = std::move(files), .copies = {}}};
  const std::vector<TensorBinding> bindings =
      bind_tensors(drafter.config, prefixed ? "model." : "", drafter.weights);
  RETURN_IF_ERROR(load_tensors(bindings, false, drafter));
  return drafter;
}

}  // namespace gallop::model
