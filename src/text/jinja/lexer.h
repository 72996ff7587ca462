// Template text to tokens, with Jinja's white space rules as transformers sets them: trim_blocks
// and lstrip_blocks on, `-` and `+` modifiers, one trailing newline dropped, raw blocks resolved.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gallop::text::jinja {

enum class TokenKind {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,  // text: the contents, escapes resolved
  kInteger,
  kFloat,  // text: digits without underscores
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 1;

  bool is_operator(std::string_view symbol) const {
    return kind == TokenKind::kOperator && text == symbol;
  }
  bool is_name(std::string_view name) const { return kind == TokenKind::kName && text == name; }
};

// Ends with one kEnd. Throws TemplateError.
std::vector<Token> tokenize(std::string_view source);

}  // namespace gallop::text::jinja
