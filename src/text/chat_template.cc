#include "text/chat_template.h"

#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "text/jinja/template.h"

namespace gallop::text {
namespace {

constexpr size_t kMaxConfigBytes = 64u << 20;

struct NamedTemplate {
  std::string name;  // "default", "tool_use"...
  std::string source;
};

// `chat_template` of tokenizer_config.json: a string, or a list of {name, template}.
Result<std::vector<NamedTemplate>> read_templates(const Json& value,
                                                  const std::filesystem::path& path) {
  const auto wrong = [&] {
    return Error{path.string() + ": chat_template must be a string or a list of {name, template}"};
  };
  std::vector<NamedTemplate> templates;
  if (value.is_string()) {
    templates.push_back({"default", value.get<std::string>()});
    return templates;
  }
  if (!value.is_array() || value.empty()) return wrong();
  for (const Json& entry : value) {
    if (!entry.is_object() || !entry.contains("name") || !entry.contains("template") ||
        !entry["name"].is_string() || !entry["template"].is_string()) {
      return wrong();
    }
    templates.push_back({entry["name"].get<std::string>(), entry["template"].get<std::string>()});
  }
  return templates;
}

// The text of a special token: a string, or an object with `content`; null when it is neither.
const Json* token_content(const Json& value) {
  if (value.is_string()) return &value;
  if (!value.is_object()) return nullptr;
  const auto content = value.find("content");
  return content != value.end() && content->is_string() ? &*content : nullptr;
}

// As transformers' special_tokens_map: each key that ends in _token, and the named extra ones.
// A token that is null stays undefined.
std::vector<std::pair<std::string, Json>> special_tokens(const Json& config) {
  std::vector<std::pair<std::string, Json>> tokens;
  const auto extra = config.find("extra_special_tokens");
  if (extra != config.end() && extra->is_object()) {
    for (const auto& [name, value] : extra->items()) {
      if (const Json* const content = token_content(value)) tokens.emplace_back(name, *content);
    }
  }
  for (const auto& [name, value] : config.items()) {
    if (!name.ends_with("_token")) continue;
    if (const Json* const content = token_content(value)) tokens.emplace_back(name, *content);
  }
  return tokens;
}

Result<Json> load_config(const std::filesystem::path& path) {
  if (!file_exists(path)) return Json(Json::object());
  // Its added_tokens_decoder may have more keys than a request's objects.
  ASSIGN_OR_RETURN(Json config,
                   load_json_file(path, kMaxConfigBytes, {.max_keys = size_t{1} << 16}));
  if (!config.is_object()) return Error{path.string() + ": expected an object"};
  return config;
}

}  // namespace

struct ChatTemplate::State {
  struct Entry {
    std::string name;
    std::string source;
    jinja::Template program;
  };
  std::string origin;          // the file that holds them
  std::vector<Entry> entries;  // one named default
  std::vector<std::pair<std::string, Json>> tokens;

  const Entry* find(std::string_view name) const {
    for (const Entry& entry : entries) {
      if (entry.name == name) return &entry;
    }
    return nullptr;
  }

  const Entry& choose(bool has_tools) const {
    const Entry* entry = has_tools ? find("tool_use") : nullptr;
    return entry != nullptr ? *entry : *find("default");
  }
};

ChatTemplate::ChatTemplate(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::load(const std::filesystem::path& directory) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory, ignored)) {
    return Error{directory.string() + " is not a directory", ErrorCode::kNotFound};
  }
  const std::filesystem::path config_path = directory / "tokenizer_config.json";
  ASSIGN_OR_RETURN(const Json config, load_config(config_path));
  const std::filesystem::path template_path = directory / "chat_template.jinja";
  std::vector<NamedTemplate> templates;
  std::filesystem::path origin = template_path;
  if (file_exists(template_path)) {
    ASSIGN_OR_RETURN(std::string source, read_file(template_path, jinja::kMaxSourceBytes));
    templates.push_back({"default", std::move(source)});
  } else if (config.contains("chat_template") && !config["chat_template"].is_null()) {
    ASSIGN_OR_RETURN(templates, read_templates(config["chat_template"], config_path));
    origin = config_path;
  } else {
    return Error{directory.string() +
                     " has no chat template: neither chat_template.jinja nor chat_template in "
                     "tokenizer_config.json",
                 ErrorCode::kNotFound};
  }
  auto state = std::make_unique<State>();
  state->origin = origin.string();
  state->tokens = special_tokens(config);
  for (NamedTemplate& named : templates) {
    Result<jinja::Template> program = jinja::Template::parse(named.source);
    if (!program.ok()) return Error{state->origin + ": " + program.error().message};
    state->entries.push_back(
        {std::move(named.name), std::move(named.source), std::move(program).value()});
  }
  if (state->find("default") == nullptr) {
    return Error{config_path.string() + ": chat_template has no entry named default"};
  }
  return ChatTemplate(std::move(state));
}

Result<std::string> ChatTemplate::render(const ChatInput& input) const {
  static const Json kNone = nullptr;
  static const Json kTrue = true;
  if (!input.kwargs.is_object() && !input.kwargs.is_null()) {
    return Error{"chat template arguments must be an object", ErrorCode::kInvalidInput,
                 "chat_template_kwargs"};
  }
  for (const char* const name : {"messages", "tools"}) {
    if (input.kwargs.is_object() && input.kwargs.contains(name)) {
      return Error{fmt::format("'{}' cannot be among the chat template's arguments", name),
                   ErrorCode::kInvalidInput, "chat_template_kwargs"};
    }
  }
  const bool has_tools = !input.tools.is_null();
  jinja::Template::Variables variables;
  for (const auto& [name, value] : state_->tokens) variables.emplace_back(name, &value);
  variables.emplace_back("messages", &input.messages);
  variables.emplace_back("tools", has_tools ? &input.tools : &kNone);
  variables.emplace_back("documents", &kNone);
  variables.emplace_back("add_generation_prompt", &kTrue);
  if (input.kwargs.is_object()) {
    for (const auto& [name, value] : input.kwargs.items()) variables.emplace_back(name, &value);
  }
  return state_->choose(has_tools).program.render(variables);
}

const std::string& ChatTemplate::origin() const { return state_->origin; }

const std::string& ChatTemplate::source(bool has_tools) const {
  return state_->choose(has_tools).source;
}

}  // namespace gallop::text
