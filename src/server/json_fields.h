// Typed reading of one JSON object of a request: absent and null fields are the same, a wrong type
// or a value out of range is an error that names the field. The first error is kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace gallop::server {

class JsonFields {
 public:
  // `path` is the object's place in the body ("" for the body itself). `object` must outlive this.
  JsonFields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {}

  // Null when the field is absent or null.
  const Json* find(std::string_view name) const;

  std::optional<double> number(std::string_view name, double min, double max);
  std::optional<int64_t> integer(std::string_view name, int64_t min, int64_t max);
  bool boolean(std::string_view name, bool fallback);
  std::optional<std::string> string(std::string_view name);
  std::vector<int32_t> integers(std::string_view name, int32_t min, int32_t max);
  const Json* object(std::string_view name);
  const Json* array(std::string_view name);

  // Records that the field's form or value is wrong.
  void wrong_type(std::string_view name, std::string_view expected, const Json& found);
  void wrong_value(std::string_view name, std::string message);
  void fail(Error error);

  const std::optional<Error>& error() const { return error_; }

 private:
  std::string path_of(std::string_view name) const;

  const Json& object_;
  std::string path_;
  std::optional<Error> error_;
};

// "a string", "an object", ... for messages.
std::string describe_type(const Json& value);

}  // namespace gallop::server
