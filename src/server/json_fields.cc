#include "server/json_fields.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "server/api_error.h"

namespace gallop::server {
namespace {

// An integer, or a float that is one ("5.0"), as Python's clients write them.
std::optional<int64_t> whole_number(const Json& value) {
  if (!value.is_number_float()) return json_integer(value);
  const double number = value.get<double>();
  constexpr double kExactIntegers = 9007199254740992;  // 2^53
  if (number != std::trunc(number) || std::abs(number) > kExactIntegers) return std::nullopt;
  return static_cast<int64_t>(number);
}

}  // namespace

const Json* JsonFields::find(std::string_view name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<double> JsonFields::number(std::string_view name, double min, double max) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    wrong_type(name, "a number", *value);
    return std::nullopt;
  }
  const double result = value->get<double>();
  if (!(result >= min && result <= max)) {
    wrong_value(name, fmt::format("{} must be between {} and {}, got {}.", name, min, max, result));
  }
  return result;
}

std::optional<int64_t> JsonFields::integer(std::string_view name, int64_t min, int64_t max) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const std::optional<int64_t> result = whole_number(*value);
  if (!result && !value->is_number_integer()) {
    wrong_type(name, "an integer", *value);
    return std::nullopt;
  }
  if (!result || *result < min || *result > max) {
    wrong_value(name, fmt::format("{} must be an integer between {} and {}, got {}.", name, min,
                                  max, value->dump()));
  }
  return result;
}

bool JsonFields::boolean(std::string_view name, bool fallback) {
  const Json* value = find(name);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  wrong_type(name, "true or false", *value);
  return fallback;
}

std::optional<std::string> JsonFields::string(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  wrong_type(name, "a string", *value);
  return std::nullopt;
}

std::vector<int32_t> JsonFields::integers(std::string_view name, int32_t min, int32_t max) {
  std::vector<int32_t> result;
  const Json* list = array(name);
  if (list == nullptr) return result;
  for (const Json& item : *list) {
    const std::optional<int64_t> number = whole_number(item);
    if (!number) {
      wrong_type(name, "a list of integers", item);
      return {};
    }
    if (*number < min || *number > max) {
      wrong_value(name, fmt::format("{}: {} is not between {} and {}.", name, *number, min, max));
      return {};
    }
    result.push_back(static_cast<int32_t>(*number));
  }
  return result;
}

const Json* JsonFields::object(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr || value->is_object()) return value;
  wrong_type(name, "an object", *value);
  return nullptr;
}

const Json* JsonFields::array(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr || value->is_array()) return value;
  wrong_type(name, "a list", *value);
  return nullptr;
}

void JsonFields::wrong_type(std::string_view name, std::string_view expected, const Json& found) {
  fail(form_error(path_of(name), fmt::format("{}: expected {}, found {}.", path_of(name), expected,
                                             describe_type(found))));
}

void JsonFields::wrong_value(std::string_view name, std::string message) {
  fail({std::move(message), ErrorCode::kInvalidInput, path_of(name)});
}

void JsonFields::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

std::string JsonFields::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

std::string describe_type(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "a boolean";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  return value.is_array() ? "a list" : "an object";
}

}  // namespace gallop::server
