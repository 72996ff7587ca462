// The JSON header: {"__metadata__": {name: string}, name: {"dtype", "shape", "data_offsets"}, ...}.
// Source: the safetensors format description (github.com/huggingface/safetensors, README, Format).
#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "checkpoint/safetensors.h"
#include "checkpoint/strict_sax.h"

namespace gallop::checkpoint {
namespace {

// Far above any tensor (the vision tower's patch embedding has 5); bounds memory.
constexpr size_t kMaxRank = 16;

class HeaderSax : public StrictSax {
 public:
  explicit HeaderSax(SafetensorsHeader& header) : header_(header) {}

  bool start_object(std::size_t) override;
  bool key(string_t& name) override;
  bool end_object() override;
  bool string(string_t& value) override;
  bool start_array(std::size_t) override;
  bool number_unsigned(number_unsigned_t value) override;
  bool end_array() override;

 protected:
  std::string expectation() const override;

 private:
  enum class State { kStart, kNames, kEntry, kMetadata, kFields, kField, kShape, kOffsets, kEnd };

  bool start_field(const std::string& name);
  bool finish_tensor();
  std::string named(std::string_view what) const {
    return fmt::format("tensor '{}': {}", tensor_.name, what);
  }

  SafetensorsHeader& header_;
  State state_ = State::kStart;
  bool in_metadata_ = false;
  std::string key_;  // of the metadata entry or the tensor field
  TensorInfo tensor_;
  std::vector<uint64_t> offsets_;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
};

std::string HeaderSax::expectation() const {
  switch (state_) {
    case State::kStart:
      return "expected an object";
    case State::kEntry:
      return in_metadata_ ? "__metadata__: expected an object of strings"
                          : named("expected an object");
    case State::kMetadata:
      return fmt::format("__metadata__: expected a string for '{}'", key_);
    case State::kShape:
      return named("shape: expected sizes >= 0");
    case State::kOffsets:
      return named("data_offsets: expected two offsets >= 0");
    case State::kField:
      return named(key_ == "dtype" ? "dtype: expected a string" : key_ + ": expected a list");
    default:
      return "expected a tensor";
  }
}

bool HeaderSax::start_object(std::size_t) {
  if (state_ == State::kStart) {
    state_ = State::kNames;
    return true;
  }
  if (state_ != State::kEntry) return unexpected("an object");
  state_ = in_metadata_ ? State::kMetadata : State::kFields;
  return true;
}

bool HeaderSax::key(string_t& name) {
  if (state_ == State::kMetadata) {
    key_ = name;
    return true;
  }
  if (state_ == State::kFields) return start_field(name);
  in_metadata_ = name == "__metadata__";
  state_ = State::kEntry;
  if (!in_metadata_) {
    tensor_ = TensorInfo{.name = name, .shape = {}};
    offsets_.clear();
    has_dtype_ = has_shape_ = has_offsets_ = false;
  }
  return true;
}

bool HeaderSax::start_field(const std::string& name) {
  bool* seen = name == "dtype"          ? &has_dtype_
               : name == "shape"        ? &has_shape_
               : name == "data_offsets" ? &has_offsets_
                                        : nullptr;
  if (seen == nullptr) {
    return refuse(named(fmt::format("expected dtype, shape and data_offsets, found '{}'", name)));
  }
  if (*seen) return refuse(named(fmt::format("'{}' appears twice", name)));
  *seen = true;
  key_ = name;
  state_ = State::kField;
  return true;
}

bool HeaderSax::string(string_t& value) {
  if (state_ == State::kMetadata) {
    header_.metadata[key_] = value;
    return true;
  }
  if (state_ != State::kField || key_ != "dtype") return unexpected("a string");
  const std::optional<DType> dtype = dtype_from_name(value);
  if (!dtype) return refuse(named(fmt::format("unknown dtype '{}'", value)));
  tensor_.dtype = *dtype;
  state_ = State::kFields;
  return true;
}

bool HeaderSax::start_array(std::size_t) {
  if (state_ != State::kField || key_ == "dtype") return unexpected("a list");
  state_ = key_ == "shape" ? State::kShape : State::kOffsets;
  return true;
}

bool HeaderSax::number_unsigned(number_unsigned_t value) {
  if (state_ == State::kShape) {
    if (tensor_.shape.size() == kMaxRank) {
      return refuse(named(fmt::format("more than {} dimensions", kMaxRank)));
    }
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return refuse(named(fmt::format("shape: {} is too large", value)));
    }
    tensor_.shape.push_back(static_cast<int64_t>(value));
    return true;
  }
  if (state_ != State::kOffsets) return unexpected("a number");
  if (offsets_.size() == 2) return refuse(named("data_offsets: expected two offsets, found more"));
  offsets_.push_back(value);
  return true;
}

bool HeaderSax::end_array() {
  if (state_ == State::kOffsets && offsets_.size() != 2) {
    return refuse(
        named(fmt::format("data_offsets: expected two offsets, found {}", offsets_.size())));
  }
  state_ = State::kFields;
  return true;
}

bool HeaderSax::end_object() {
  if (state_ == State::kNames) {
    state_ = State::kEnd;
    return true;
  }
  if (state_ == State::kFields && !finish_tensor()) return false;
  state_ = State::kNames;
  return true;
}

bool HeaderSax::finish_tensor() {
  const char* missing = !has_dtype_     ? "dtype"
                        : !has_shape_   ? "shape"
                        : !has_offsets_ ? "data_offsets"
                                        : nullptr;
  if (missing != nullptr) return refuse(named(fmt::format("'{}' is missing", missing)));
  tensor_.begin = offsets_[0];
  tensor_.end = offsets_[1];
  header_.tensors.push_back(std::move(tensor_));
  return true;
}

// Bytes of the tensor's elements, or nothing when that is no 63-bit number.
std::optional<uint64_t> expected_bytes(const TensorInfo& tensor) {
  uint64_t bytes = dtype_bytes(tensor.dtype);
  for (const int64_t extent : tensor.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) return std::nullopt;
  }
  if (bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return bytes;
}

Result<void> check_tensor(const TensorInfo& tensor, uint64_t data_bytes) {
  const auto fail = [&](const std::string& what) {
    return Error{fmt::format("tensor '{}': {}", tensor.name, what), ErrorCode::kInvalidInput,
                 tensor.name};
  };
  if (tensor.begin > tensor.end || tensor.end > data_bytes) {
    return fail(fmt::format("data_offsets [{}, {}] do not lie in the file's {} bytes of data",
                            tensor.begin, tensor.end, data_bytes));
  }
  const std::optional<uint64_t> expected = expected_bytes(tensor);
  if (!expected) return fail("shape " + shape_text(tensor.shape) + " is too large");
  if (*expected != tensor.end - tensor.begin) {
    return fail(fmt::format("{} {} needs {} bytes, data_offsets hold {}", dtype_name(tensor.dtype),
                            shape_text(tensor.shape), *expected, tensor.end - tensor.begin));
  }
  return {};
}

Result<void> check_names_unique(const std::vector<TensorInfo>& tensors) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return {};
  return Error{fmt::format("tensor '{}' appears twice", *twice), ErrorCode::kInvalidInput,
               std::string(*twice)};
}

// `tensors` are sorted by their offsets: each begins where the one before ends.
Result<void> check_contiguous(const std::vector<TensorInfo>& tensors, uint64_t data_bytes) {
  uint64_t offset = 0;
  std::string_view before = "the header";
  for (const TensorInfo& tensor : tensors) {
    if (tensor.begin < offset) {
      return Error{fmt::format("tensor '{}' overlaps '{}': it begins at {}, the other ends at {}",
                               tensor.name, before, tensor.begin, offset),
                   ErrorCode::kInvalidInput, tensor.name};
    }
    if (tensor.begin > offset) {
      return Error{fmt::format("{} bytes before tensor '{}' belong to no tensor",
                               tensor.begin - offset, tensor.name),
                   ErrorCode::kInvalidInput, tensor.name};
    }
    offset = tensor.end;
    before = tensor.name;
  }
  if (offset == data_bytes) return {};
  return Error{fmt::format("{} bytes at the end belong to no tensor", data_bytes - offset)};
}

}  // namespace

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

int64_t TensorInfo::elements() const {
  int64_t product = 1;  // checked by the parser: the bytes are a 63-bit number
  for (const int64_t extent : shape) product *= extent;
  return product;
}

Result<SafetensorsHeader> parse_safetensors_header(std::string_view json, uint64_t data_bytes) {
  if (json.empty() || json.front() != '{') return Error{"the header does not begin with '{'"};
  SafetensorsHeader header;
  HeaderSax sax(header);
  RETURN_IF_ERROR(sax.parse(json));
  for (const TensorInfo& tensor : header.tensors) {
    RETURN_IF_ERROR(check_tensor(tensor, data_bytes));
  }
  RETURN_IF_ERROR(check_names_unique(header.tensors));
  std::sort(header.tensors.begin(), header.tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  RETURN_IF_ERROR(check_contiguous(header.tensors, data_bytes));
  return header;
}

}  // namespace gallop::checkpoint
