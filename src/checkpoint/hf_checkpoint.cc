#include "checkpoint/hf_checkpoint.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/file.h"
#include "checkpoint/strict_sax.h"

namespace gallop::checkpoint {
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr size_t kMaxIndexBytes = 64 << 20;   // 50,000 tensors take 5 MB
constexpr size_t kMaxConfigBytes = 16 << 20;  // real ones take a few KB
constexpr size_t kMaxDepth = 16;              // of what stands beside weight_map

// {"metadata": anything, "weight_map": {tensor: file}}.
class IndexSax : public StrictSax {
 public:
  explicit IndexSax(ShardIndex& index) : index_(index) {}

  bool null() override { return value("null"); }
  bool boolean(bool) override { return value("a boolean"); }
  bool number_integer(number_integer_t) override { return value("a number"); }
  bool number_unsigned(number_unsigned_t) override { return value("a number"); }
  bool number_float(number_float_t, const string_t&) override { return value("a number"); }
  bool string(string_t& text) override;
  bool start_object(std::size_t) override;
  bool start_array(std::size_t) override { return value("a list") && enter(); }
  bool end_array() override { return leave(); }
  bool end_object() override { return leave(); }
  bool key(string_t& name) override;

  bool found_map() const { return found_map_; }

 protected:
  std::string expectation() const override {
    if (depth_ == 0) return "expected an object";
    if (depth_ == 1) return "weight_map: expected an object";
    return fmt::format("weight_map: expected a file name for tensor '{}'", tensor_);
  }

 private:
  // A value that is no string and no object: allowed outside the map only.
  bool value(std::string_view what) { return (depth_ > 0 && !in_map_) || unexpected(what); }
  bool enter() { return ++depth_ <= kMaxDepth || refuse("nested too deeply"); }
  bool leave() {
    if (--depth_ == 1) in_map_ = false;
    return true;
  }

  ShardIndex& index_;
  size_t depth_ = 0;
  bool in_map_ = false;  // at the value of weight_map, or inside it
  bool found_map_ = false;
  std::string tensor_;
};

bool IndexSax::string(string_t& text) {
  if (!in_map_) return value("a string");
  if (depth_ != 2) return unexpected("a string");
  index_.emplace_back(tensor_, text);
  return true;
}

bool IndexSax::start_object(std::size_t) {
  if (in_map_ && depth_ != 1) return unexpected("an object");
  return enter();
}

bool IndexSax::key(string_t& name) {
  if (depth_ == 1) {
    in_map_ = name == "weight_map";
    if (in_map_ && found_map_) return refuse("weight_map appears twice");
    found_map_ = found_map_ || in_map_;
  } else if (in_map_) {
    tensor_ = name;
  }
  return true;
}

// Relative, without "..", without characters that a path cannot hold.
bool stays_inside(const std::string& name) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20; };
  if (name.empty() || std::any_of(name.begin(), name.end(), control)) return false;
  const std::filesystem::path path(name);
  if (path.is_absolute()) return false;
  return std::none_of(path.begin(), path.end(),
                      [](const std::filesystem::path& part) { return part == ".."; });
}

Result<std::vector<SafetensorsFile>> open_single(const std::filesystem::path& directory) {
  ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(directory / kSingleFile));
  std::vector<SafetensorsFile> files;
  files.push_back(std::move(file));
  return files;
}

// Every tensor of the shard is in the index, under that shard.
Result<void> check_shard(const SafetensorsFile& file, const std::string& name,
                         const ShardIndex& index, const std::filesystem::path& index_path) {
  const auto fail = [&](const TensorInfo& tensor, const std::string& what) {
    return Error{
        fmt::format("{}: tensor '{}' of {} {}", index_path.string(), tensor.name, name, what),
        ErrorCode::kInvalidInput, tensor.name};
  };
  for (const TensorInfo& tensor : file.tensors()) {
    const auto entry = std::lower_bound(
        index.begin(), index.end(), tensor.name,
        [](const auto& pair, const std::string& wanted) { return pair.first < wanted; });
    if (entry == index.end() || entry->first != tensor.name) return fail(tensor, "is not listed");
    if (entry->second != name) {
      return fail(tensor, fmt::format("is listed under '{}'", entry->second));
    }
  }
  return {};
}

Result<std::vector<SafetensorsFile>> open_shards(const std::filesystem::path& directory) {
  const std::filesystem::path index_path = directory / kIndexFile;
  ASSIGN_OR_RETURN(const std::string text, read_file(index_path, kMaxIndexBytes));
  const Result<ShardIndex> index = parse_shard_index(text);
  if (!index.ok()) {
    return Error{index_path.string() + ": " + index.error().message, index.error().code,
                 index.error().param};
  }
  std::map<std::string, size_t> places;  // shard name > place in `files`
  std::vector<SafetensorsFile> files;
  for (const auto& [tensor, shard] : *index) {
    if (places.contains(shard)) continue;
    Result<SafetensorsFile> file = SafetensorsFile::open(directory / shard);
    if (!file.ok()) {
      return Error{fmt::format("{} (listed in {})", file.error().message, kIndexFile),
                   file.error().code, file.error().param};
    }
    RETURN_IF_ERROR(check_shard(*file, shard, *index, index_path));
    places[shard] = files.size();
    files.push_back(std::move(file).value());
  }
  for (const auto& [tensor, shard] : *index) {
    if (files[places[shard]].find(tensor) == nullptr) {
      return Error{fmt::format("{}: tensor '{}' is listed under '{}', which does not hold it",
                               index_path.string(), tensor, shard),
                   ErrorCode::kInvalidInput, tensor};
    }
  }
  return files;
}

Result<std::vector<SafetensorsFile>> open_files(const std::filesystem::path& directory) {
  if (file_exists(directory / kSingleFile)) return open_single(directory);
  if (file_exists(directory / kIndexFile)) return open_shards(directory);
  return Error{
      fmt::format("{}: holds neither {} nor {}", directory.string(), kSingleFile, kIndexFile),
      ErrorCode::kNotFound, directory.string()};
}

}  // namespace

Result<ShardIndex> parse_shard_index(std::string_view json) {
  ShardIndex index;
  IndexSax sax(index);
  RETURN_IF_ERROR(sax.parse(json));
  if (!sax.found_map()) return Error{"weight_map is missing"};
  if (index.empty()) return Error{"weight_map lists no tensor"};
  std::sort(index.begin(), index.end());
  for (size_t i = 0; i < index.size(); ++i) {
    const auto& [tensor, shard] = index[i];
    if (!stays_inside(shard)) {
      return Error{fmt::format("weight_map: tensor '{}' is in '{}'; expected the name of a file "
                               "inside the directory",
                               tensor, shard),
                   ErrorCode::kInvalidInput, tensor};
    }
    if (i > 0 && index[i - 1].first == tensor) {
      return Error{fmt::format("weight_map: tensor '{}' is listed twice", tensor),
                   ErrorCode::kInvalidInput, tensor};
    }
  }
  return index;
}

Result<Json> load_config_json(const std::filesystem::path& directory) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory, ignored)) {
    return Error{fmt::format("{}: is not a directory", directory.string()), ErrorCode::kNotFound,
                 directory.string()};
  }
  const std::filesystem::path path = directory / "config.json";
  ASSIGN_OR_RETURN(Json json, load_json_file(path, kMaxConfigBytes));
  if (!json.is_object()) {
    return Error{path.string() + ": expected a JSON object", ErrorCode::kInvalidInput,
                 path.string()};
  }
  return json;
}

Result<HfCheckpoint> HfCheckpoint::open(const std::filesystem::path& directory) {
  ASSIGN_OR_RETURN(Json config, load_config_json(directory));
  ASSIGN_OR_RETURN(std::vector<SafetensorsFile> files, open_files(directory));
  return HfCheckpoint(directory, std::move(config), std::move(files));
}

HfCheckpoint::HfCheckpoint(std::filesystem::path directory, Json config,
                           std::vector<SafetensorsFile> files)
    : directory_(std::move(directory)), config_(std::move(config)), files_(std::move(files)) {
  for (size_t file = 0; file < files_.size(); ++file) {
    const std::vector<TensorInfo>& tensors = files_[file].tensors();
    for (size_t i = 0; i < tensors.size(); ++i) places_[tensors[i].name] = {file, i};
  }
}

std::vector<std::string_view> HfCheckpoint::names() const {
  std::vector<std::string_view> names;
  names.reserve(places_.size());
  for (const auto& [name, place] : places_) names.push_back(name);
  return names;
}

StoredTensor HfCheckpoint::find(std::string_view name) const {
  const auto place = places_.find(name);
  if (place == places_.end()) return {};
  const SafetensorsFile& file = files_[place->second.first];
  const TensorInfo& info = file.tensors()[place->second.second];
  return {.info = &info, .bytes = file.bytes(info), .file = &file.path()};
}

}  // namespace gallop::checkpoint
