// A model's chat template: messages, tools and options to the prompt text, through the sandboxed
// Jinja interpreter.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace gallop::text {

// What a template sees. Messages are in chat-completions form, with tool
// call arguments as objects.
struct ChatInput {
  Json messages = Json::array();
  Json tools = nullptr;  // null or an array; null renders as none
  Json kwargs =
      Json::object();  // further variables; add_generation_prompt is true unless it is here
};

class ChatTemplate {
 public:
  // Reads DIR/chat_template.jinja, else `chat_template` of DIR/tokenizer_config.json (a string, or
  // a list of {name, template}, one of them named default), and the special tokens of
  // tokenizer_config.json. kNotFound when there is no directory or no template in it; a syntax
  // error names the template's line.
  static Result<ChatTemplate> load(const std::filesystem::path& directory);

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // The prompt's exact bytes. A template that raises, or exceeds 3 s, 64 MB for all its values and
  // texts or the depth limit, is an error with its message; so are arguments named messages or
  // tools. Safe from several threads at once.
  Result<std::string> render(const ChatInput& input) const;

  // The file that holds the template.
  const std::string& origin() const;

  // The source of the template that render() takes with or without tools: which roles it knows is
  // read from it.
  const std::string& source(bool has_tools) const;

 private:
  struct State;
  explicit ChatTemplate(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace gallop::text
