#include "server/chat_messages.h"

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/json_fields.h"

namespace gallop::server {
namespace {

Error message_error(const std::string& path, const std::string& message) {
  return {path + ": " + message, ErrorCode::kInvalidInput, "messages"};
}

// The text of one part of a content list.
Result<std::string> part_text(const Json& part, const std::string& path) {
  if (part.is_string()) return part.get<std::string>();
  if (!part.is_object()) {
    return form_error(path, path + ": expected an object, found " + describe_type(part) + ".");
  }
  JsonFields fields(part, path);
  const std::string type = fields.string("type").value_or("");
  if (fields.error()) return *fields.error();
  if (type.starts_with("image") || type == "input_image" || part.contains("image_url")) {
    return message_error(path, "this model has no vision: image parts are not accepted.");
  }
  // The text stands under the part's own type, but for the types that are named after its role.
  const bool plain = type.empty() || type == "input_text" || type == "output_text";
  const std::string name = plain ? "text" : type;
  if (name != "text" && name != "refusal" && name != "thinking") {
    return message_error(path, fmt::format("content parts of type '{}' are not accepted.", type));
  }
  const std::optional<std::string> text = fields.string(name);
  if (fields.error()) return *fields.error();
  if (!text) return form_error(path + "." + name, path + "." + name + " is missing.");
  return *text;
}

Result<Json> convert_content(const Json& content, const std::string& path) {
  if (content.is_null() || content.is_string()) return content;
  if (!content.is_array()) {
    return form_error(path, path + ": expected a string, null or a list of parts, found " +
                                describe_type(content) + ".");
  }
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    ASSIGN_OR_RETURN(const std::string part, part_text(content[i], fmt::format("{}.{}", path, i)));
    text += part;
  }
  return Json(text);
}

// Templates walk over the arguments; on the wire they are the text of a JSON object.
Result<Json> convert_arguments(const Json* arguments, const std::string& path) {
  if (arguments == nullptr) return Json::object();
  if (arguments->is_object()) return *arguments;
  if (!arguments->is_string()) {
    return form_error(path, path + ": expected a string, found " + describe_type(*arguments) + ".");
  }
  const auto& text = arguments->get_ref<const std::string&>();
  if (text.empty()) return Json::object();
  const Result<Json> parsed = parse_json(text);
  if (!parsed.ok()) return message_error(path, parsed.error().message);
  if (parsed->is_null()) return Json::object();
  if (!parsed->is_object()) {
    return message_error(
        path, "the arguments must be a JSON object, found " + describe_type(*parsed) + ".");
  }
  return *parsed;
}

Result<Json> convert_tool_calls(const Json& calls, const std::string& path) {
  Json converted = Json::array();
  for (size_t i = 0; i < calls.size(); ++i) {
    const std::string call_path = fmt::format("{}.{}", path, i);
    if (!calls[i].is_object()) {
      return form_error(call_path,
                        call_path + ": expected an object, found " + describe_type(calls[i]) + ".");
    }
    Json call = calls[i];
    JsonFields fields(calls[i], call_path);
    const Json* function = fields.object("function");
    if (fields.error()) return *fields.error();
    if (function == nullptr) return form_error(call_path, call_path + ".function is missing.");
    JsonFields function_fields(*function, call_path + ".function");
    const bool named = function_fields.string("name").has_value();
    if (function_fields.error()) return *function_fields.error();
    if (!named) return form_error(call_path, call_path + ".function.name is missing.");
    ASSIGN_OR_RETURN(Json arguments, convert_arguments(function_fields.find("arguments"),
                                                       call_path + ".function.arguments"));
    call["function"]["arguments"] = std::move(arguments);
    converted.push_back(std::move(call));
  }
  return converted;
}

Result<void> convert_assistant(JsonFields& fields, const std::string& path, Json& message) {
  std::optional<std::string> reasoning = fields.string("reasoning");
  if (!reasoning) reasoning = fields.string("reasoning_content");
  const Json* calls = fields.array("tool_calls");
  if (fields.error()) return *fields.error();
  message.erase("reasoning");
  message.erase("reasoning_content");
  message.erase("tool_calls");
  if (reasoning) {
    message["reasoning"] = *reasoning;
    message["reasoning_content"] = *reasoning;
  }
  if (calls == nullptr || calls->empty()) return {};
  ASSIGN_OR_RETURN(message["tool_calls"], convert_tool_calls(*calls, path + ".tool_calls"));
  return {};
}

Result<Json> convert_message(const Json& source, const std::string& path) {
  if (!source.is_object()) {
    return form_error(path, path + ": expected an object, found " + describe_type(source) + ".");
  }
  JsonFields fields(source, path);
  const std::optional<std::string> role = fields.string("role");
  if (fields.error()) return *fields.error();
  if (!role) return form_error(path + ".role", path + ".role is missing.");
  Json message = source;
  if (*role == "function") message["role"] = "tool";
  if (*role != "assistant" && !source.contains("content")) {
    return form_error(path + ".content", path + ".content is missing.");
  }
  ASSIGN_OR_RETURN(message["content"],
                   convert_content(source.value("content", Json()), path + ".content"));
  if (*role == "assistant") RETURN_IF_ERROR(convert_assistant(fields, path, message));
  return message;
}

}  // namespace

Result<Json> convert_messages(const Json& messages) {
  if (!messages.is_array()) {
    return form_error("messages",
                      "messages: expected a list, found " + describe_type(messages) + ".");
  }
  if (messages.empty()) {
    return Error{"messages must hold at least one message.", ErrorCode::kInvalidInput, "messages"};
  }
  Json converted = Json::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    ASSIGN_OR_RETURN(Json message, convert_message(messages[i], fmt::format("messages.{}", i)));
    converted.push_back(std::move(message));
  }
  return converted;
}

void rename_developer(Json& messages) {
  for (Json& message : messages) {
    if (message["role"] == "developer") message["role"] = "system";
  }
}

}  // namespace gallop::server
