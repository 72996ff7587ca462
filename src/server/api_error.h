// Failures as OpenAI's clients expect them: {"error": {message, type, param, code}}.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "server/http_message.h"

namespace gallop::server {

struct ApiError {
  int status = 500;
  std::string message;
  std::string type;
  std::string param;  // empty: null
};

// kInvalidInput and kTooLarge are 400, kNotFound 404, kUnsupported 501, kUnavailable 503, kInternal
// 500. A `param` that begins with "body" says that the request's form is wrong (type "Bad
// Request"); any other one names the field whose value is ("BadRequestError").
ApiError to_api_error(const Error& error);

// An error of the HTTP layer: the type is the status' reason phrase.
ApiError http_error(int status, std::string message);

Json error_json(const ApiError& error);
HttpResponse error_response(const ApiError& error);
HttpResponse json_response(const Json& body, int status = 200);

// Form errors: `path` is the dotted path below the body, e.g. "messages.0.role".
Error form_error(const std::string& path, const std::string& message);

}  // namespace gallop::server
