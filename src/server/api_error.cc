#include "server/api_error.h"

#include <string_view>
#include <utility>

namespace gallop::server {
namespace {

constexpr std::string_view kFormRoot = "body";

std::string_view reason_phrase(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

}  // namespace

ApiError to_api_error(const Error& error) {
  ApiError result{400, error.message, "BadRequestError", error.param};
  switch (error.code) {
    case ErrorCode::kInvalidInput:
    case ErrorCode::kTooLarge:
      if (error.param.starts_with(kFormRoot)) result.type = "Bad Request";
      break;
    case ErrorCode::kNotFound:
      result.status = 404;
      result.type = "NotFoundError";
      break;
    case ErrorCode::kUnsupported:
      result.status = 501;
      result.type = "NotImplementedError";
      break;
    case ErrorCode::kUnavailable:
      result.status = 503;
      result.type = "ServiceUnavailableError";
      break;
    case ErrorCode::kInternal:
      result.status = 500;
      result.type = "InternalServerError";
      break;
  }
  return result;
}

ApiError http_error(int status, std::string message) {
  return {status, std::move(message), std::string(reason_phrase(status)), {}};
}

Json error_json(const ApiError& error) {
  Json body;
  body["message"] = error.message;
  body["type"] = error.type;
  body["param"] = error.param.empty() ? Json(nullptr) : Json(error.param);
  body["code"] = error.status;
  return Json{{"error", std::move(body)}};
}

HttpResponse error_response(const ApiError& error) {
  HttpResponse response = json_response(error_json(error), error.status);
  // OpenAI's clients repeat every 5xx; only one that may pass is worth it.
  if (error.status == 500 || error.status == 501)
    response.headers.emplace_back("x-should-retry", "false");
  return response;
}

HttpResponse json_response(const Json& body, int status) {
  return {
      .status = status, .content_type = "application/json", .body = dump_json(body), .headers = {}};
}

Error form_error(const std::string& path, const std::string& message) {
  std::string param(kFormRoot);
  if (!path.empty()) param += "." + path;
  return {message, ErrorCode::kInvalidInput, std::move(param)};
}

}  // namespace gallop::server
