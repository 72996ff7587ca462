#include "model/config_reader.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace gallop::model {
namespace {

bool in_range(const std::optional<int64_t>& value, int64_t least, int64_t most) {
  return value && *value >= least && *value <= most;
}

}  // namespace

std::string short_text(const Json& value) {
  constexpr size_t kMaxLength = 40;
  if (value.is_structured() && value.size() > kMaxLength) {
    return fmt::format("{} of {} values", value.is_array() ? "a list" : "an object", value.size());
  }
  const std::string text = dump_json(value);
  if (text.size() <= kMaxLength) return text;
  size_t cut = kMaxLength;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0u) == 0x80u) --cut;
  return text.substr(0, cut) + "...";
}

ConfigReader::ConfigReader(const Json& json, std::string where)
    : json_(json), where_(std::move(where)) {
  CHECK(json.is_object());
}

const Json* ConfigReader::find(std::string_view key) const {
  const auto place = json_.find(key);
  return place == json_.end() || place->is_null() ? nullptr : &*place;
}

int64_t ConfigReader::integer(std::string_view key, int64_t least, int64_t most) {
  const Json* value = find(key);
  const std::optional<int64_t> number = value == nullptr ? std::nullopt : json_integer(*value);
  if (in_range(number, least, most)) return *number;
  fail(key, fmt::format("an integer from {} to {}", least, most));
  return least;
}

int64_t ConfigReader::integer_or(std::string_view key, int64_t fallback, int64_t least,
                                 int64_t most) {
  return has(key) ? integer(key, least, most) : fallback;
}

float ConfigReader::number(std::string_view key, float above, float most) {
  const Json* value = find(key);
  if (value != nullptr && value->is_number()) {
    const auto number = static_cast<float>(value->get<double>());
    if (number > above && number <= most) return number;
  }
  fail(key, fmt::format("a number above {} and at most {}", above, most));
  return most;
}

double ConfigReader::number_or(std::string_view key, double fallback, double least, double most) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_number()) {
    const double number = value->get<double>();
    if (number >= least && number <= most) return number;
  }
  fail(key, fmt::format("a number from {} to {}", least, most));
  return fallback;
}

bool ConfigReader::boolean_or(std::string_view key, bool fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  fail(key, "true or false");
  return fallback;
}

std::string ConfigReader::string_or(std::string_view key, std::string_view fallback) {
  const Json* value = find(key);
  if (value == nullptr) return std::string(fallback);
  if (value->is_string()) return value->get<std::string>();
  fail(key, "a string");
  return std::string(fallback);
}

std::optional<std::vector<std::string>> ConfigReader::strings(std::string_view key) {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  std::vector<std::string> texts;
  if (value->is_array()) {
    for (const Json& item : *value) {
      if (item.is_string()) texts.push_back(item.get<std::string>());
    }
  }
  if (!value->is_array() || texts.size() != value->size()) fail(key, "a list of strings");
  return texts;
}

std::vector<int32_t> ConfigReader::integers(std::string_view key, size_t max_count, int64_t least,
                                            int64_t most) {
  CHECK(least >= std::numeric_limits<int32_t>::min() &&
        most <= std::numeric_limits<int32_t>::max());
  const Json* value = find(key);
  if (value == nullptr) return {};
  std::vector<int32_t> numbers;
  const auto take = [&](const Json& item) {
    const std::optional<int64_t> number = json_integer(item);
    if (!in_range(number, least, most)) return false;
    numbers.push_back(static_cast<int32_t>(*number));
    return true;
  };
  bool good = value->is_array() ? value->size() <= max_count : take(*value);
  if (value->is_array()) {
    for (size_t i = 0; good && i < value->size(); ++i) good = take((*value)[i]);
  }
  if (!good) fail(key, fmt::format("at most {} integers from {} to {}", max_count, least, most));
  return numbers;
}

const Json& ConfigReader::object_or_empty(std::string_view key) {
  static const Json empty = Json::object();
  const Json* value = find(key);
  if (value == nullptr) return empty;
  if (value->is_object()) return *value;
  fail(key, "an object");
  return empty;
}

void ConfigReader::fail(std::string_view key, std::string_view expected) {
  const Json* value = find(key);
  const std::string found = value == nullptr ? "missing" : short_text(*value);
  fail(Error{fmt::format("{} is {}; expected {}", name_of(key), found, expected),
             ErrorCode::kInvalidInput, name_of(key)});
}

void ConfigReader::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

}  // namespace gallop::model
