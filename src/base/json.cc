#include "base/json.h"

#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"

namespace gallop {
namespace {

constexpr size_t kCompareBytes = 32;  // one step of a vectorised memcmp

// Builds the value while it counts; refuses in the middle of the text, before memory is spent.
class LimitedBuilder : public nlohmann::json_sax<Json> {
 public:
  LimitedBuilder(Json& root, const JsonLimits& limits) : dom_(root, false), limits_(limits) {}

  bool null() override { return count() && dom_.null(); }
  bool boolean(bool value) override { return count() && dom_.boolean(value); }
  bool number_integer(number_integer_t value) override {
    return count() && dom_.number_integer(value);
  }
  bool number_unsigned(number_unsigned_t value) override {
    return count() && dom_.number_unsigned(value);
  }
  bool number_float(number_float_t value, const string_t& text) override {
    // Without a point or an exponent it is an integer that the parser had to round.
    if (text.find_first_of(".eE") == string_t::npos) {
      return refuse(fmt::format("the integer {} needs more than 64 bits", text.substr(0, 40)));
    }
    return count() && dom_.number_float(value, text);
  }
  bool string(string_t& value) override { return count() && dom_.string(value); }
  bool binary(binary_t& value) override { return count() && dom_.binary(value); }
  bool start_object(std::size_t size) override {
    return count() && enter() && dom_.start_object(size);
  }
  bool key(string_t& name) override {
    const size_t before = keys_.back()++;
    if (before >= limits_.max_keys) {
      return refuse(fmt::format("an object has more than {} keys", limits_.max_keys));
    }
    key_compares_ += before * (1 + name.size() / kCompareBytes);
    if (key_compares_ > limits_.max_key_compares) {
      return refuse(fmt::format("too many keys: telling them apart takes more than {} comparisons",
                                limits_.max_key_compares));
    }
    return count() && dom_.key(name);
  }
  bool end_object() override {
    keys_.pop_back();
    return dom_.end_object();
  }
  bool start_array(std::size_t size) override {
    return count() && enter() && dom_.start_array(size);
  }
  bool end_array() override {
    keys_.pop_back();
    return dom_.end_array();
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    return refuse(json_syntax_error(position, error));
  }

  const std::string& message() const { return message_; }

 private:
  bool refuse(std::string message) {
    if (message_.empty()) message_ = std::move(message);
    return false;
  }
  bool count() {
    return ++elements_ <= limits_.max_elements ||
           refuse(fmt::format("more than {} JSON elements", limits_.max_elements));
  }
  bool enter() {
    keys_.push_back(0);
    return keys_.size() <= limits_.max_depth ||
           refuse(fmt::format("JSON is nested deeper than {} levels", limits_.max_depth));
  }

  nlohmann::detail::json_sax_dom_parser<Json> dom_;
  JsonLimits limits_;
  std::vector<size_t> keys_;  // keys seen so far, per open object or array
  size_t key_compares_ = 0;
  size_t elements_ = 0;
  std::string message_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  Json root;
  LimitedBuilder builder(root, limits);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return Error{builder.message()};
  return root;
}

Result<Json> load_json_file(const std::filesystem::path& path, size_t max_bytes,
                            const JsonLimits& limits) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path, max_bytes));
  Result<Json> value = parse_json(text, limits);
  if (!value.ok()) {
    return Error{path.string() + ": " + value.error().message, value.error().code};
  }
  return value;
}

std::string json_syntax_error(size_t position, const std::exception& error) {
  const std::string what = error.what();  // "[json.exception...] parse error at ...: reason"
  const size_t bracket = what.find("] ");
  return fmt::format("not valid JSON at byte {}: {}", position,
                     bracket == std::string::npos ? what : what.substr(bracket + 2));
}

std::optional<int64_t> json_integer(const Json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (value.is_number_unsigned() && value.get<uint64_t>() > kMost) return std::nullopt;
  return value.get<int64_t>();
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace gallop
