#include "model/weight_format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "codec/e4m3.h"
#include "codec/nvfp4.h"
#include "tensor/widen.h"

namespace gallop::model {
namespace {

using checkpoint::HfCheckpoint;
using checkpoint::shape_text;
using checkpoint::StoredTensor;

// Ends of the names of weights: floats, FP8 and ModelOpt's NVFP4, and compressed-tensors' NVFP4.
constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kPacked = ".weight_packed";

// Ends of names that belong to schemes this version does not compute.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kForeignEndings = {
    {{".qweight", "a GPTQ or AWQ integer weight"},
     {".qzeros", "a GPTQ or AWQ integer weight"},
     {".g_idx", "a GPTQ integer weight"},
     {".weight_g_idx", "an integer weight of compressed-tensors"},
     {".weight_zero_point", "an integer weight of compressed-tensors"},
     {".weight_shape", "an integer weight of compressed-tensors"},
     {".svdquant_lora_a", "NVFP4_SVD"},
     {".svdquant_lora_b", "NVFP4_SVD"},
     {".weight_blocks", "MXFP4"}}};

Error tensor_error(const StoredTensor& stored, const std::string& what, ErrorCode code) {
  return Error{fmt::format("{}: tensor '{}': {}", stored.file->string(), stored.info->name, what),
               code, stored.info->name};
}

// What scales of one kind may be at least. A row or a tile of zeros may have the scale 0; for a
// whole tensor or an input it would be a weight without effect.
enum class Least { kZero, kAboveZero };

// The numbers of a small tensor, each finite and not below `least`.
Result<std::vector<float>> read_scales(const StoredTensor& stored, Least least) {
  if (!is_weight_dtype(stored.info->dtype)) {
    return tensor_error(
        stored, fmt::format("dtype {}; expected F32, BF16 or F16", dtype_name(stored.info->dtype)),
        ErrorCode::kInvalidInput);
  }
  std::vector<float> values(stored.bytes.size() / dtype_bytes(stored.info->dtype));
  widen(stored.bytes.data(), stored.info->dtype, static_cast<int64_t>(values.size()),
        values.data());
  const bool zero = least == Least::kZero;
  const auto bad = std::find_if(values.begin(), values.end(), [zero](float value) {
    return !std::isfinite(value) || value < 0 || (value == 0 && !zero);
  });
  if (bad == values.end()) return values;
  const std::string place =
      values.size() == 1 ? "" : fmt::format("element {} ", bad - values.begin());
  return tensor_error(stored,
                      fmt::format("{}is {}; expected a finite number {}", place, *bad,
                                  zero ? "of at least 0" : "above 0"),
                      ErrorCode::kInvalidInput);
}

// The tensors of one linear while its format is found out.
class LinearBinder {
 public:
  LinearBinder(const TensorBinding& linear, const HfCheckpoint& files)
      : linear_(linear), files_(files), prefix_(linear.name) {
    CHECK(prefix_.ends_with(kWeight));
    prefix_.resize(prefix_.size() - kWeight.size());
  }

  Result<LinearTensors> bind();

 private:
  int64_t n() const { return linear_.shape[0]; }
  int64_t k() const { return linear_.shape[1]; }
  std::string name(std::string_view ending) const { return prefix_ + std::string(ending); }
  StoredTensor find(std::string_view ending) const { return files_.find(name(ending)); }
  bool has(std::string_view ending) const { return find(ending).info != nullptr; }

  void place(std::string_view ending, std::vector<int64_t> shape, TensorKind kind,
             TensorView& field) {
    tensors_.placed.push_back(
        {.name = name(ending), .shape = std::move(shape), .kind = kind, .field = &field});
  }
  // The number of a scalar tensor that must be there.
  Result<float> scalar(std::string_view ending);
  // Scales that are placed: where they are there, each must be a number that may multiply.
  Result<void> check_scales(std::string_view ending, Least least) const;
  Result<void> bind_weight();
  void bind_floats();
  Result<void> bind_nvfp4(std::string_view codes);
  Result<void> bind_fp8();
  // What may stand beside any kind of weight.
  Result<void> bind_input_scales();

  const TensorBinding& linear_;
  const HfCheckpoint& files_;
  std::string prefix_;
  LinearTensors tensors_;
};

Result<LinearTensors> LinearBinder::bind() {
  RETURN_IF_ERROR(bind_weight());
  RETURN_IF_ERROR(bind_input_scales());
  return std::move(tensors_);
}

Result<void> LinearBinder::bind_weight() {
  if (has(kPacked)) return bind_nvfp4(kPacked);
  const StoredTensor weight = find(kWeight);
  if (weight.info != nullptr && weight.info->dtype == DType::kU8) return bind_nvfp4(kWeight);
  if (weight.info != nullptr && weight.info->dtype == DType::kF8E4M3) return bind_fp8();
  for (const std::string_view ending :
       {".weight_scale", ".weight_scale_2", ".weight_scale_inv", ".weight_global_scale"}) {
    if (weight.info == nullptr || !has(ending)) continue;
    return tensor_error(find(ending),
                        fmt::format("belongs to a packed weight, but '{}' is {}; expected U8 "
                                    "(NVFP4) or F8_E4M3",
                                    linear_.name, dtype_name(weight.info->dtype)),
                        ErrorCode::kInvalidInput);
  }
  bind_floats();
  return {};
}

void LinearBinder::bind_floats() {
  auto& weight = linear_.part->weight.emplace<ops::FloatWeight>();
  place(kWeight, linear_.shape, TensorKind::kMatrix, weight.weight);
  const StoredTensor stored = find(kWeight);
  if (stored.info != nullptr) tensors_.format = dtype_name(stored.info->dtype);
}

// Source: NVIDIA Model-Optimizer, modelopt/torch/export/quant_utils.py (weight, weight_scale,
// weight_scale_2), and compressed-tensors, compressors/nvfp4 (weight_packed, weight_scale,
// weight_global_scale, which is the inverse of weight_scale_2).
Result<void> LinearBinder::bind_nvfp4(std::string_view codes) {
  if (k() % codec::kNvfp4Block != 0) {
    return tensor_error(
        find(codes),
        fmt::format("NVFP4 with {} inputs; expected a multiple of {}", k(), codec::kNvfp4Block),
        ErrorCode::kInvalidInput);
  }
  auto& weight = linear_.part->weight.emplace<ops::Nvfp4Weight>();
  place(codes, {n(), k() / 2}, TensorKind::kCodes, weight.codes);
  place(".weight_scale", {n(), k() / codec::kNvfp4Block}, TensorKind::kE4m3, weight.scales);
  if (codes == kPacked) {
    tensors_.format = "NVFP4 (compressed-tensors)";
    ASSIGN_OR_RETURN(weight.global_divisor, scalar(".weight_global_scale"));
  } else {
    tensors_.format = "NVFP4 (ModelOpt)";
    ASSIGN_OR_RETURN(weight.global_scale, scalar(".weight_scale_2"));
  }
  return {};
}

Result<void> LinearBinder::bind_fp8() {
  auto& weight = linear_.part->weight.emplace<ops::Fp8Weight>();
  place(kWeight, linear_.shape, TensorKind::kE4m3, weight.weight);
  const auto tiles = [](int64_t extent) {
    return (extent + ops::Fp8Weight::kTile - 1) / ops::Fp8Weight::kTile;
  };
  const std::vector<int64_t> tiled = {tiles(n()), tiles(k())};
  tensors_.format = "FP8 (128x128 scales)";
  if (has(".weight_scale_inv")) {
    place(".weight_scale_inv", tiled, TensorKind::kVector, weight.scales);
    tensors_.placed.back().view = Shape{tiled[0], tiled[1]};
    return check_scales(".weight_scale_inv", Least::kZero);
  }
  const StoredTensor scale = find(".weight_scale");
  const std::vector<int64_t> shape = scale.info ? scale.info->shape : std::vector<int64_t>{1};
  place(".weight_scale", shape, TensorKind::kVector, weight.scales);
  Shape& view = tensors_.placed.back().view.emplace();
  if (shape.empty() || shape == std::vector<int64_t>{1}) {
    tensors_.format = "FP8 (one scale)";
    view = Shape{1};
  } else if (shape == std::vector<int64_t>{n()} || shape == std::vector<int64_t>{n(), 1}) {
    tensors_.format = "FP8 (a scale for each row)";
    view = Shape{n()};
  } else if (shape == tiled) {
    view = Shape{tiled[0], tiled[1]};
  } else {
    return tensor_error(scale,
                        fmt::format("FP8 scales of shape {}; expected [] or [1] for the tensor, "
                                    "[{}] or [{}, 1] for each output, or {} for tiles of 128",
                                    shape_text(shape), n(), n(), shape_text(tiled)),
                        ErrorCode::kUnsupported);
  }
  return check_scales(".weight_scale", view == Shape{1} ? Least::kAboveZero : Least::kZero);
}

Result<void> LinearBinder::bind_input_scales() {
  if (has(".pre_quant_scale")) {
    place(".pre_quant_scale", {k()}, TensorKind::kVector, linear_.part->input_scale);
    RETURN_IF_ERROR(check_scales(".pre_quant_scale", Least::kAboveZero));
  }
  for (const std::string_view ending : {".input_scale", ".input_global_scale"}) {
    if (has(ending)) {
      const Result<float> checked = scalar(ending);
      if (!checked.ok()) return checked.error();
    }
  }
  return {};
}

Result<float> LinearBinder::scalar(std::string_view ending) {
  const StoredTensor stored = find(ending);
  if (stored.info == nullptr) {
    return Error{fmt::format("{}: tensor '{}' [] is missing beside the packed weight",
                             files_.directory().string(), name(ending)),
                 ErrorCode::kInvalidInput, name(ending)};
  }
  ASSIGN_OR_RETURN(const float value, read_scale(stored));
  tensors_.scalars.push_back(name(ending));
  return value;
}

Result<void> LinearBinder::check_scales(std::string_view ending, Least least) const {
  const StoredTensor stored = find(ending);
  if (stored.info == nullptr) return {};
  const Result<std::vector<float>> checked = read_scales(stored, least);
  return checked.ok() ? Result<void>() : checked.error();
}

}  // namespace

Result<LinearTensors> bind_linear(const TensorBinding& linear, const HfCheckpoint& files) {
  CHECK(linear.kind == TensorKind::kLinear && linear.part != nullptr);
  return LinearBinder(linear, files).bind();
}

std::optional<TensorBinding> linear_of(const StoredTensor& stored) {
  const checkpoint::TensorInfo& info = *stored.info;
  std::string_view prefix = info.name;
  for (const std::string_view ending : {kPacked, kWeight}) {
    if (!prefix.ends_with(ending) || info.shape.size() != 2 || info.elements() == 0) continue;
    prefix.remove_suffix(ending.size());
    const bool codes = ending == kPacked || info.dtype == DType::kU8;
    return TensorBinding{.name = std::string(prefix) + std::string(kWeight),
                         .shape = {info.shape[0], codes ? 2 * info.shape[1] : info.shape[1]},
                         .kind = TensorKind::kLinear};
  }
  return std::nullopt;
}

std::optional<std::string_view> foreign_scheme(std::string_view tensor_name) {
  for (const auto& [ending, scheme] : kForeignEndings) {
    if (tensor_name.ends_with(ending)) return scheme;
  }
  return std::nullopt;
}

Result<float> read_scale(const StoredTensor& stored) {
  const std::vector<int64_t>& shape = stored.info->shape;
  if (!shape.empty() && shape != std::vector<int64_t>{1}) {
    return tensor_error(stored, fmt::format("shape {}; expected [] or [1]", shape_text(shape)),
                        ErrorCode::kInvalidInput);
  }
  ASSIGN_OR_RETURN(const std::vector<float> values, read_scales(stored, Least::kAboveZero));
  return values.front();
}

int64_t count_nan_scales(const ops::LinearPart& part) {
  const auto* weight = std::get_if<ops::Nvfp4Weight>(&part.weight);
  if (weight == nullptr) return 0;
  const auto* scales = weight->scales.as<const uint8_t>();
  return std::count_if(scales, scales + weight->scales.shape().elements(), codec::is_e4m3_nan);
}

}  // namespace gallop::model
