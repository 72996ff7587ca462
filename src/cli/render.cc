#include "cli/render.h"

#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/report.h"
#include "text/chat_template.h"

namespace gallop::cli {
namespace {

constexpr size_t kMaxBatchBytes = size_t{1} << 30;

struct RenderOptions {
  std::string model;
  std::string messages;
  std::string tools;
  Json kwargs = Json::object();
  std::string batch;
};

Result<void> check_shapes(const text::ChatInput& input) {
  if (!input.messages.is_array()) {
    return Error{fmt::format("messages must be a list, found {}", input.messages.type_name())};
  }
  if (!input.tools.is_null() && !input.tools.is_array()) {
    return Error{fmt::format("tools must be a list, found {}", input.tools.type_name())};
  }
  if (!input.kwargs.is_object()) {
    return Error{
        fmt::format("the template's kwargs must be an object, found {}", input.kwargs.type_name())};
  }
  return {};
}

// A list of messages, or an object {messages, tools, <kwargs_key>}.
Result<text::ChatInput> to_input(Json value, const char* kwargs_key) {
  text::ChatInput input;
  if (value.is_array()) {
    input.messages = std::move(value);
    return input;
  }
  if (!value.is_object()) {
    return Error{
        fmt::format("expected a list of messages or an object, found {}", value.type_name())};
  }
  if (!value.contains("messages")) return Error{"the object has no 'messages'"};
  input.messages = std::move(value["messages"]);
  if (value.contains("tools")) input.tools = std::move(value["tools"]);
  if (value.contains(kwargs_key) && !value[kwargs_key].is_null()) {
    input.kwargs = std::move(value[kwargs_key]);
  }
  RETURN_IF_ERROR(check_shapes(input));
  return input;
}

Result<text::ChatInput> load_input(const RenderOptions& options) {
  ASSIGN_OR_RETURN(Json value, load_json_file(options.messages));
  Result<text::ChatInput> read = to_input(std::move(value), "chat_template_kwargs");
  if (!read.ok()) return Error{options.messages + ": " + read.error().message};
  text::ChatInput input = std::move(read).value();
  if (!options.tools.empty()) {
    ASSIGN_OR_RETURN(input.tools, load_json_file(options.tools));
  }
  input.kwargs.update(options.kwargs);
  RETURN_IF_ERROR(check_shapes(input));
  return input;
}

Result<std::string> render_line(const text::ChatTemplate& chat_template, const std::string& line) {
  ASSIGN_OR_RETURN(Json value, parse_json(line));
  if (!value.is_object()) return Error{"expected an object {messages, tools, kwargs}"};
  ASSIGN_OR_RETURN(const text::ChatInput input, to_input(std::move(value), "kwargs"));
  return chat_template.render(input);
}

// One {"prompt"} or {"error"} per line of the file; an Error at the end when there was one.
Result<void> render_batch(const text::ChatTemplate& chat_template, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path, kMaxBatchBytes));
  std::istringstream file(text);
  size_t count = 0;
  std::vector<size_t> failed;
  std::string line;
  for (; std::cout && std::getline(file, line); ++count) {
    const Result<std::string> prompt = render_line(chat_template, line);
    if (!prompt.ok()) failed.push_back(count + 1);
    const Json out =
        prompt.ok() ? Json{{"prompt", *prompt}} : Json{{"error", prompt.error().message}};
    std::cout << dump_json(out) << '\n';
  }
  RETURN_IF_ERROR(flush_output());
  return failed_lines(path, failed, count);
}

Result<void> render(const RenderOptions& options) {
  ASSIGN_OR_RETURN(const text::ChatTemplate chat_template, text::ChatTemplate::load(options.model));
  if (!options.batch.empty()) return render_batch(chat_template, options.batch);
  ASSIGN_OR_RETURN(const text::ChatInput input, load_input(options));
  const Result<std::string> prompt = chat_template.render(input);
  if (!prompt.ok() && prompt.error().param.empty()) {
    return Error{chat_template.origin() + ": " + prompt.error().message};
  }
  if (!prompt.ok()) return prompt.error();
  std::cout << *prompt;
  return flush_output();
}

Json kwargs_value(const std::string& text) {
  Result<Json> kwargs = parse_json(text);
  if (!kwargs.ok()) refuse_usage("--kwargs", kwargs.error().message);
  if (!kwargs->is_object()) refuse_usage("--kwargs", "must be a JSON object");
  return std::move(kwargs).value();
}

}  // namespace

void add_render_command(Command& root) {
  Command command = root.command("render", "Print the prompt that the model's chat template makes");
  const auto options = std::make_shared<RenderOptions>();
  command.option("--model", options->model, "Directory with the chat template").required();
  const Option messages = command.option(
      "--messages", options->messages,
      "JSON file: a list of messages, or an object {messages, tools, chat_template_kwargs}");
  const Option tools = command.option("--tools", options->tools, "JSON file: a list of tools");
  const Option kwargs = command.option(
      "--kwargs", [options](const std::string& text) { options->kwargs = kwargs_value(text); },
      "JSON object: further variables, e.g. '{\"enable_thinking\": false}'");
  Option batch = command.option("--batch", options->batch,
                                "JSONL file: one {messages, tools, kwargs} per "
                                "line; prints one {prompt} or {error} per line");
  batch.excludes(messages).excludes(tools).excludes(kwargs);
  command.runs([options] { return report(render(*options)); },
               [options] {
                 if (options->messages.empty() != options->batch.empty()) return;
                 refuse_usage("render", "one of --messages and --batch is needed");
               });
}

}  // namespace gallop::cli
