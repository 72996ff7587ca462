#include "model/random_checkpoint.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/float_types.h"
#include "base/thread_pool.h"
#include "checkpoint/sharded_writer.h"
#include "codec/nvfp4.h"
#include "model/random_values.h"
#include "model/weight_table.h"

namespace gallop::model {
namespace {

namespace fs = std::filesystem;
using checkpoint::TensorSpec;

constexpr int64_t kPieceValues = 4 << 20;  // made and written at a time: 16 MiB as floats

// What a tensor does, which decides its values and whether ModelOpt would quantise it.
enum class Role : uint8_t {
  kEmbedding,
  kHead,
  kLinear,
  kGate,  // in_proj_a, in_proj_b: a few rows
  kZeroCentredNorm,
  kPlainNorm,
  kGatedNorm,  // of GDN: plain
  kConv,
  kDecay,     // A_log
  kTimeBias,  // dt_bias
};

struct Place {
  Role role = Role::kLinear;
  size_t group = 0;  // linears that share an input
};

// From a field of the weights, where a binding points, to what it does.
class Places {
 public:
  void add(const TensorView& field, Role role) { places_[&field] = {role, 0}; }
  void add(const ops::LinearWeight& weight, std::vector<Role> roles) {
    ++groups_;
    for (size_t i = 0; i < weight.parts.size(); ++i) {
      const Role role = i < roles.size() ? roles[i] : roles.back();
      places_[&weight.parts[i]] = {role, groups_};
    }
  }
  const Place& of(const TensorBinding& binding) const {
    const void* field = binding.field;
    const auto place = places_.find(binding.part != nullptr ? binding.part : field);
    CHECK(place != places_.end());
    return place->second;
  }

 private:
  std::unordered_map<const void*, Place> places_;
  size_t groups_ = 0;
};

void add_places(Places& places, const AttentionWeights& weights) {
  places.add(weights.qkv, {Role::kLinear});
  places.add(weights.q_norm, Role::kZeroCentredNorm);
  places.add(weights.k_norm, Role::kZeroCentredNorm);
  places.add(weights.out, {Role::kLinear});
}

void add_places(Places& places, const GdnWeights& weights) {
  places.add(weights.in, {Role::kLinear, Role::kLinear, Role::kGate, Role::kGate});
  places.add(weights.conv, Role::kConv);
  places.add(weights.a_log, Role::kDecay);
  places.add(weights.dt_bias, Role::kTimeBias);
  places.add(weights.norm, Role::kGatedNorm);
  places.add(weights.out, {Role::kLinear});
}

void add_places(Places& places, const MlpWeights& weights) {
  places.add(weights.gate_up, {Role::kLinear});
  places.add(weights.down, {Role::kLinear});
}

Places places_of(const ModelWeights& weights) {
  Places places;
  places.add(weights.embed, Role::kEmbedding);
  places.add(weights.norm, Role::kZeroCentredNorm);
  places.add(weights.head, {Role::kHead});
  for (const LayerWeights& layer : weights.layers) {
    places.add(layer.input_norm, Role::kZeroCentredNorm);
    places.add(layer.post_norm, Role::kZeroCentredNorm);
    std::visit([&](const auto& mixer) { add_places(places, mixer); }, layer.mixer);
    add_places(places, layer.mlp);
  }
  return places;
}

Places places_of(const DrafterWeights& weights) {
  Places places;
  places.add(weights.fc, {Role::kLinear});
  places.add(weights.hidden_norm, Role::kPlainNorm);
  places.add(weights.norm, Role::kPlainNorm);
  for (const DrafterLayerWeights& layer : weights.layers) {
    places.add(layer.input_norm, Role::kPlainNorm);
    places.add(layer.post_norm, Role::kPlainNorm);
    places.add(layer.q, {Role::kLinear});
    places.add(layer.kv, {Role::kLinear});
    places.add(layer.q_norm, Role::kPlainNorm);
    places.add(layer.k_norm, Role::kPlainNorm);
    places.add(layer.out, {Role::kLinear});
    add_places(places, layer.mlp);
  }
  return places;
}

// One weight of the model: a tensor of the file, or the four that NVFP4 makes of it.
struct Weight {
  std::string name;
  std::vector<int64_t> shape;
  Role role = Role::kLinear;
  size_t group = 0;
  uint64_t key = 0;
  bool nvfp4 = false;

  int64_t rows() const { return shape.size() == 1 ? 1 : shape[0]; }
  int64_t width() const {
    int64_t width = 1;
    for (size_t i = shape.size() == 1 ? 0 : 1; i < shape.size(); ++i) width *= shape[i];
    return width;
  }
  // As published checkpoints of the family have it.
  DType dtype() const {
    const bool wide = role == Role::kDecay || role == Role::kGatedNorm;
    return wide ? DType::kF32 : DType::kBF16;
  }
  std::string beside(const char* ending) const { return name + ending; }
};

// Activations stay of the order of 1: a linear of k inputs has weights of 1 / sqrt(k). Norms are
// near neutral. Decays exp(-exp(A_log) softplus(. + dt_bias)) reach from half of a token to a
// hundred of them.
Distribution distribution_of(const Weight& weight) {
  constexpr auto kNormal = Distribution::Kind::kNormal;
  switch (weight.role) {
    case Role::kEmbedding:
    case Role::kHead:
    case Role::kLinear:
    case Role::kGate:
    case Role::kConv:
      return {kNormal, 0, 1 / std::sqrt(static_cast<float>(weight.width()))};
    case Role::kZeroCentredNorm:
      return {kNormal, 0, 0.1f};
    case Role::kPlainNorm:
    case Role::kGatedNorm:
      return {kNormal, 1, 0.1f};
    case Role::kDecay:
      return {Distribution::Kind::kUniform, -4, 1};
    case Role::kTimeBias:
      return {kNormal, 0, 0.5f};
  }
  return {};
}

Result<std::vector<Weight>> plan_weights(const std::vector<TensorBinding>& bindings,
                                         const Places& places,
                                         const RandomCheckpointOptions& options) {
  std::vector<Weight> weights;
  for (const TensorBinding& binding : bindings) {
    const Place& place = places.of(binding);
    Weight weight{.name = binding.name,
                  .shape = binding.shape,
                  .role = place.role,
                  .group = place.group,
                  .key = random_key(options.seed, binding.name)};
    weight.nvfp4 = options.format == RandomFormat::kNvfp4 && place.role == Role::kLinear;
    if (weight.nvfp4 && weight.width() % codec::kNvfp4Block != 0) {
      return Error{fmt::format("{} has {} inputs; NVFP4 needs a multiple of {}", weight.name,
                               weight.width(), codec::kNvfp4Block),
                   ErrorCode::kInvalidInput, weight.name};
    }
    weights.push_back(std::move(weight));
  }
  return weights;
}

// Names and layout of ModelOpt: codes, block scales, global scale, scale of activations.
std::vector<TensorSpec> specs_of(const std::vector<Weight>& weights) {
  std::vector<TensorSpec> specs;
  for (const Weight& weight : weights) {
    if (!weight.nvfp4) {
      specs.push_back({weight.name, weight.dtype(), weight.shape});
      continue;
    }
    const int64_t rows = weight.rows();
    const int64_t width = weight.width();
    specs.push_back({weight.name, DType::kU8, {rows, width / 2}});
    specs.push_back({weight.beside("_scale"), DType::kF8E4M3, {rows, width / codec::kNvfp4Block}});
    specs.push_back({weight.beside("_scale_2"), DType::kF32, {}});
    const std::string module = weight.name.substr(0, weight.name.rfind('.'));
    specs.push_back({module + ".input_scale", DType::kF32, {}});
  }
  return specs;
}

// Makes values and writes them, piece by piece.
class Filler {
 public:
  Filler(checkpoint::ShardedWriter& writer, int threads) : writer_(writer), pool_(threads) {}

  Result<void> write_plain(const Weight& weight) {
    return by_pieces(weight, [&](int64_t, int64_t rows) {
      return weight.dtype() == DType::kF32 ? append_values(weight, rows)
                                           : append_narrowed(weight, rows);
    });
  }

  // `amax`: of the weights that share the global scale.
  Result<void> write_nvfp4(const Weight& weight, float amax) {
    const auto width = static_cast<size_t>(weight.width());
    const size_t blocks = width / codec::kNvfp4Block;
    const float global = codec::nvfp4_global_scale(amax);
    scales_.resize(static_cast<size_t>(weight.rows()) * blocks);
    RETURN_IF_ERROR(by_pieces(weight, [&](int64_t begin, int64_t rows) {
      bytes_.resize(static_cast<size_t>(rows) * width / 2);
      pool_.parallel_for(rows, 1, [&](int64_t first, int64_t last) {
        for (auto row = static_cast<size_t>(first); row < static_cast<size_t>(last); ++row) {
          codec::encode_nvfp4_row(
              std::span(values_).subspan(row * width, width), global,
              std::span(bytes_).subspan(row * width / 2, width / 2),
              std::span(scales_).subspan((static_cast<size_t>(begin) + row) * blocks, blocks));
        }
      });
      return writer_.append(weight.name, std::span<const uint8_t>(bytes_));
    }));
    RETURN_IF_ERROR(writer_.append(weight.beside("_scale"), scales_));
    RETURN_IF_ERROR(append_scalar(weight.beside("_scale_2"), global));
    // What is normalised has values of the order of 1, hardly one beyond 6.
    const std::string module = weight.name.substr(0, weight.name.rfind('.'));
    return append_scalar(module + ".input_scale", codec::nvfp4_global_scale(6));
  }

  float largest(const Weight& weight) {
    float amax = 0;
    const Result<void> done = by_pieces(weight, [&](int64_t, int64_t) {
      for (const float value : values_) amax = std::max(amax, std::abs(value));
      return Result<void>();
    });
    CHECK(done.ok());
    return amax;
  }

 private:
  // Calls body(first row, rows) with values_ filled for each piece.
  template <typename Body>
  Result<void> by_pieces(const Weight& weight, Body body) {
    const int64_t width = weight.width();
    const int64_t step = std::max<int64_t>(1, kPieceValues / width);
    const Distribution distribution = distribution_of(weight);
    for (int64_t begin = 0; begin < weight.rows(); begin += step) {
      const int64_t rows = std::min(step, weight.rows() - begin);
      values_.resize(static_cast<size_t>(rows * width));
      pool_.parallel_for(rows * width, 1 << 14, [&](int64_t first, int64_t last) {
        const auto piece = std::span(values_).subspan(static_cast<size_t>(first),
                                                      static_cast<size_t>(last - first));
        random_values(weight.key, begin * width + first, distribution, piece);
      });
      RETURN_IF_ERROR(body(begin, rows));
    }
    return {};
  }

  Result<void> append_values(const Weight& weight, int64_t) {
    return writer_.append(weight.name,
                          {reinterpret_cast<const uint8_t*>(values_.data()), 4 * values_.size()});
  }

  Result<void> append_narrowed(const Weight& weight, int64_t) {
    narrow_.resize(values_.size());
    pool_.parallel_for(static_cast<int64_t>(values_.size()), 1 << 14, [&](int64_t i, int64_t end) {
      for (; i < end; ++i) {
        narrow_[static_cast<size_t>(i)] = f32_to_bf16(values_[static_cast<size_t>(i)]);
      }
    });
    return writer_.append(weight.name,
                          {reinterpret_cast<const uint8_t*>(narrow_.data()), 2 * narrow_.size()});
  }

  Result<void> append_scalar(const std::string& name, float value) {
    return writer_.append(name, {reinterpret_cast<const uint8_t*>(&value), sizeof(value)});
  }

  checkpoint::ShardedWriter& writer_;
  ThreadPool pool_;
  std::vector<float> values_;
  std::vector<uint16_t> narrow_;
  std::vector<uint8_t> bytes_;
  std::vector<uint8_t> scales_;
};

Result<void> write_weights(const std::vector<Weight>& weights, Filler& filler) {
  std::unordered_map<size_t, float> amax;  // of a group
  for (const Weight& weight : weights) {
    if (!weight.nvfp4) {
      RETURN_IF_ERROR(filler.write_plain(weight));
      continue;
    }
    if (!amax.contains(weight.group)) {
      for (const Weight& other : weights) {
        if (other.nvfp4 && other.group == weight.group) {
          amax[weight.group] = std::max(amax[weight.group], filler.largest(other));
        }
      }
    }
    RETURN_IF_ERROR(filler.write_nvfp4(weight, amax[weight.group]));
  }
  return {};
}

// Names of the modules that ModelOpt lists as left alone: those that it could have quantised.
Json excluded_modules(const std::vector<Weight>& weights) {
  Json names = Json::array();
  for (const Weight& weight : weights) {
    const bool listed =
        weight.role == Role::kHead || weight.role == Role::kGate || weight.role == Role::kConv;
    if (listed) names.push_back(weight.name.substr(0, weight.name.rfind('.')));
  }
  return names;
}

// Source: NVIDIA Model-Optimizer, modelopt/torch/export/convert_hf_config.py.
Json quantization_config(const Json& excluded) {
  const Json numbers = {
      {"dynamic", false}, {"num_bits", 4}, {"type", "float"}, {"group_size", codec::kNvfp4Block}};
  return {{"config_groups",
           {{"group_0",
             {{"input_activations", numbers}, {"weights", numbers}, {"targets", {"Linear"}}}}}},
          {"ignore", excluded},
          {"quant_algo", "NVFP4"},
          {"producer", {{"name", "gallop"}}},
          {"quant_method", "modelopt"}};
}

Json hf_quant_config(const Json& excluded) {
  return {{"producer", {{"name", "gallop"}}},
          {"quantization",
           {{"quant_algo", "NVFP4"},
            {"kv_cache_quant_algo", nullptr},
            {"group_size", codec::kNvfp4Block},
            {"exclude_modules", excluded}}}};
}

Result<void> save_json(const fs::path& path, const Json& json) {
  return save_file(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Error directory_error(const fs::path& path, std::string_view what, const std::error_code& error) {
  return Error{fmt::format("{}: {}: {}", path.string(), what, error.message()),
               ErrorCode::kInvalidInput, path.string()};
}

// Nothing is there, or an empty directory.
Result<void> check_new_directory(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return {};
  const bool empty = !error && fs::is_empty(path, error);
  if (error) return directory_error(path, "cannot look at it", error);
  if (status.type() == fs::file_type::directory && empty) return {};
  return Error{path.string() + ": expected a new or an empty directory, it holds files",
               ErrorCode::kInvalidInput, path.string()};
}

Result<void> check_space(const fs::path& directory, uint64_t bytes) {
  constexpr uint64_t kBeside = 16 << 20;  // headers, index and configs
  std::error_code error;
  const fs::space_info space = fs::space(directory, error);
  if (!error && space.available < bytes + kBeside) {
    return Error{fmt::format("{}: the weights take {} bytes, the disk has {} left",
                             directory.string(), bytes, space.available),
                 ErrorCode::kTooLarge, directory.string()};
  }
  return {};
}

int64_t parameters_of(const std::vector<Weight>& weights) {
  int64_t total = 0;
  for (const Weight& weight : weights) total += weight.rows() * weight.width();
  return total;
}

Result<WrittenCheckpoint> write_checkpoint(const fs::path& path, const std::vector<Weight>& weights,
                                           Json config, const Json& generation_config,
                                           const RandomCheckpointOptions& options) {
  uint64_t bytes = 0;
  std::vector<TensorSpec> specs = specs_of(weights);
  for (const TensorSpec& spec : specs) {
    uint64_t size = dtype_bytes(spec.dtype);
    for (const int64_t extent : spec.shape) size *= static_cast<uint64_t>(extent);
    bytes += size;
  }
  RETURN_IF_ERROR(check_space(path, bytes));
  const auto tensors = static_cast<int64_t>(specs.size());
  ASSIGN_OR_RETURN(checkpoint::ShardedWriter writer,
                   checkpoint::ShardedWriter::create(path, std::move(specs)));
  Filler filler(writer, options.threads);
  RETURN_IF_ERROR(write_weights(weights, filler));
  RETURN_IF_ERROR(writer.finish());
  if (options.format == RandomFormat::kNvfp4) {
    const Json excluded = excluded_modules(weights);
    config["quantization_config"] = quantization_config(excluded);
    RETURN_IF_ERROR(save_json(path / "hf_quant_config.json", hf_quant_config(excluded)));
  }
  if (!generation_config.empty()) {
    RETURN_IF_ERROR(save_json(path / "generation_config.json", generation_config));
  }
  RETURN_IF_ERROR(save_json(path / "config.json", config));
  return WrittenCheckpoint{.tensors = tensors,
                           .parameters = parameters_of(weights),
                           .bytes = static_cast<int64_t>(bytes),
                           .shards = static_cast<int64_t>(writer.shards())};
}

}  // namespace

Result<NewDirectory> NewDirectory::make(const fs::path& path) {
  RETURN_IF_ERROR(check_new_directory(path));
  NewDirectory directory(path);
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return directory_error(path, "cannot create the directory", error);
  return directory;
}

NewDirectory::NewDirectory(fs::path path) : path_(std::move(path)) {
  std::error_code ignored;
  for (fs::path part = path_; !part.empty() && !fs::exists(part, ignored);
       part = part.parent_path()) {
    made_.push_back(part);
  }
}

NewDirectory::~NewDirectory() {
  std::error_code ignored;
  for (const fs::path& part : made_) fs::remove(part, ignored);  // an empty directory, or nothing
}

Result<WrittenCheckpoint> write_random_model(const NewDirectory& directory, Json config,
                                             const RandomCheckpointOptions& options) {
  if (config.is_object()) config.erase("quantization_config");
  ASSIGN_OR_RETURN(const ModelConfig parsed, parse_model_config(config));
  const bool nested = config.contains("text_config");
  ModelWeights fields;
  const std::vector<TensorBinding> bindings =
      bind_tensors(parsed, nested ? "model.language_model." : "model.", fields);
  ASSIGN_OR_RETURN(const std::vector<Weight> weights,
                   plan_weights(bindings, places_of(fields), options));
  Json generation = Json::object();
  if (!parsed.eos_ids.empty()) generation["eos_token_id"] = parsed.eos_ids;
  return write_checkpoint(directory.path(), weights, std::move(config), generation, options);
}

Result<WrittenCheckpoint> write_random_drafter(const NewDirectory& directory, Json config,
                                               const RandomCheckpointOptions& options) {
  if (config.is_object()) config.erase("quantization_config");
  ASSIGN_OR_RETURN(const DrafterConfig parsed, parse_drafter_config(config));
  DrafterWeights fields;
  const std::vector<TensorBinding> bindings = bind_tensors(parsed, "", fields);
  ASSIGN_OR_RETURN(const std::vector<Weight> weights,
                   plan_weights(bindings, places_of(fields), options));
  return write_checkpoint(directory.path(), weights, std::move(config), Json::object(), options);
}

}  // namespace gallop::model
