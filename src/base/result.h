// Expected failures: bad files, bad requests, bad command lines. A Result holds a value or an Error
// whose message says what was expected and what was found. No exception crosses a folder.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace gallop {

// What a caller may do about it: the server maps the code to an HTTP status, the command line to an
// exit code.
enum class ErrorCode {
  kInvalidInput,  // the caller's data is wrong: HTTP 400, exit 1
  kNotFound,      // a named thing does not exist: HTTP 404, exit 1
  kTooLarge,      // over a stated limit: HTTP 413 or 400, exit 1
  kUnsupported,   // right, but this version lacks it: HTTP 501, exit 1
  kUnavailable,   // not now: HTTP 503, exit 1
  kInternal,      // our own fault: HTTP 500, exit 1
};

struct Error {
  std::string message;
  ErrorCode code = ErrorCode::kInvalidInput;
  std::string param = {};  // the field, key, tensor or file the message is about; may be empty
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    CHECK(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    CHECK(!ok());
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace gallop

#define GALLOP_CONCAT_INNER(a, b) a##b
#define GALLOP_CONCAT(a, b) GALLOP_CONCAT_INNER(a, b)

// Returns the error of `expression` (a Result<void> or any Result) from the enclosing function.
#define RETURN_IF_ERROR(expression)                                   \
  do {                                                                \
    if (auto result_or_error = (expression); !result_or_error.ok()) { \
      return result_or_error.error();                                 \
    }                                                                 \
  } while (false)

// ASSIGN_OR_RETURN(auto value, make_value()): declares `value`, or returns the error.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_INNER(GALLOP_CONCAT(result_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                   \
  if (!temporary.ok()) {                                           \
    return temporary.error();                                      \
  }                                                                \
  declaration = std::move(temporary).value()
