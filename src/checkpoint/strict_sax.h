// Base of the two parsers that read large flat JSON (a header, an index) in one pass without
// building a tree: every event is refused unless the derived class expects it, so depth and memory
// are bounded by what it expects, and time is linear in the text.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace gallop::checkpoint {

class StrictSax : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_unsigned(number_unsigned_t) override { return unexpected("a number"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a fractional or very large number");
  }
  bool string(string_t&) override { return unexpected("a string"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool start_object(std::size_t) override { return unexpected("an object"); }
  bool start_array(std::size_t) override { return unexpected("a list"); }
  bool end_array() override { return true; }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override;

  // Runs over the whole of `text`; the first refusal or syntax error becomes the result.
  Result<void> parse(std::string_view text);

 protected:
  // Says where the parser is and what it expected there, for messages: "tensor 'x': expected ...".
  virtual std::string expectation() const = 0;
  // Both return false, which ends the parse.
  bool refuse(std::string message);
  bool unexpected(std::string_view found);

 private:
  std::string message_;
};

}  // namespace gallop::checkpoint
