#include "text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "text/jinja/runtime.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name_start(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
         byte >= 0x80;
}

bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

// Every line end becomes \n; the last one is dropped.
std::string normalize_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t at = 0; at < source.size(); ++at) {
    if (source[at] != '\r') {
      out.push_back(source[at]);
      continue;
    }
    out.push_back('\n');
    if (at + 1 < source.size() && source[at + 1] == '\n') ++at;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize_newlines(source)) {}

  std::vector<Token> run();

 private:
  [[noreturn]] void fail(std::string message) const {
    throw TemplateError{std::move(message), line_};
  }
  bool at_end() const { return at_ >= source_.size(); }
  bool looking_at(std::string_view text) const {
    return std::string_view(source_).substr(at_).starts_with(text);
  }
  char peek(size_t offset = 0) const {
    return at_ + offset < source_.size() ? source_[at_ + offset] : '\0';
  }
  void advance(size_t bytes);
  void skip_space();
  void emit(TokenKind kind, std::string text = {}) {
    tokens_.push_back({kind, std::move(text), line_});
  }

  // Text up to `begin`, where a tag with `sign` opens; what is stripped from it depends on the
  // sign.
  void emit_data(size_t begin, char sign, bool is_variable);
  void lex_comment(size_t begin);
  // False when the block at `begin` is no {% raw %}.
  bool lex_raw(size_t begin);
  void lex_tag(bool is_variable);
  bool lex_tag_end(bool is_variable, bool emits = true);
  void lex_token();
  void lex_number();
  bool lex_radix_number();
  void lex_string();
  void lex_operator();
  void append_escape(std::string& out);
  char32_t read_digits(size_t count, int base);

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the text before at_ ended with a newline
  std::vector<char> brackets_;
  std::vector<Token> tokens_;
};

void Lexer::advance(size_t bytes) {
  const auto begin = source_.begin() + static_cast<std::ptrdiff_t>(at_);
  line_ += static_cast<int>(std::count(begin, begin + static_cast<std::ptrdiff_t>(bytes), '\n'));
  at_ += bytes;
}

void Lexer::skip_space() {
  while (!at_end()) {
    const Character point = decode_at(source_, at_);
    if (!is_space(point.code)) return;
    advance(point.length);
  }
}

std::vector<Token> Lexer::run() {
  while (!at_end()) {
    size_t begin = at_;
    while (true) {
      begin = source_.find('{', begin);
      if (begin == std::string::npos || begin + 1 >= source_.size()) {
        begin = std::string::npos;
        break;
      }
      const char next = source_[begin + 1];
      if (next == '{' || next == '%' || next == '#') break;
      ++begin;
    }
    if (begin == std::string::npos) {
      emit(TokenKind::kData, source_.substr(at_));
      break;
    }
    const char opener = source_[begin + 1];
    if (opener == '#') {
      lex_comment(begin);
    } else if (opener == '{' || !lex_raw(begin)) {
      const char sign = begin + 2 < source_.size() ? source_[begin + 2] : '\0';
      emit_data(begin, sign, opener == '{');
      emit(opener == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin);
      advance(sign == '-' || sign == '+' ? 3 : 2);
      lex_tag(opener == '{');
    }
  }
  emit(TokenKind::kEnd);
  return std::move(tokens_);
}

void Lexer::emit_data(size_t begin, char sign, bool is_variable) {
  std::string_view text = std::string_view(source_).substr(at_, begin - at_);
  if (sign == '-') {
    text = strip_space(text, Side::kRight);
  } else if (sign != '+' && !is_variable) {  // lstrip_blocks
    const size_t newline = text.rfind('\n');
    if (newline != std::string_view::npos || line_starting_) {
      const size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
      if (strip_space(text.substr(line_begin), Side::kBoth).empty()) {
        text = text.substr(0, line_begin);
      }
    }
  }
  if (!text.empty()) emit(TokenKind::kData, std::string(text));
  advance(begin - at_);
  line_starting_ = false;
}

void Lexer::lex_comment(size_t begin) {
  const char sign = begin + 2 < source_.size() ? source_[begin + 2] : '\0';
  emit_data(begin, sign, false);
  advance(sign == '-' || sign == '+' ? 3 : 2);
  const size_t content = at_;
  const size_t end = source_.find("#}", at_);
  if (end == std::string::npos) fail("a comment is not closed by #}");
  const char before = end > content ? source_[end - 1] : '\0';
  advance(end + 2 - at_);
  if (before == '-') {
    skip_space();
  } else if (before != '+' && peek() == '\n') {
    advance(1);
  }
  line_starting_ = source_[at_ - 1] == '\n';
}

bool Lexer::lex_raw(size_t begin) {
  const auto skip = [this](size_t position) {
    while (position < source_.size()) {
      const Character point = decode_at(source_, position);
      if (!is_space(point.code)) break;
      position += point.length;
    }
    return position;
  };
  const auto has = [this](size_t position, std::string_view text) {
    return std::string_view(source_).substr(position).starts_with(text);
  };
  const auto sign_at = [this](size_t position) {
    const char sign = position < source_.size() ? source_[position] : '\0';
    return sign == '-' || sign == '+' ? sign : '\0';
  };
  size_t position = begin + 2;
  const char sign = sign_at(position);
  position = skip(position + (sign != '\0' ? 1 : 0));
  if (!has(position, "raw")) return false;
  position = skip(position + 3);
  if (has(position, "-%}")) {
    position = skip(position + 3);
  } else if (has(position, "%}")) {
    position += 2;
  } else {
    return false;
  }
  emit_data(begin, sign, false);
  advance(position - at_);
  line_starting_ = source_[at_ - 1] == '\n';
  for (size_t open = source_.find("{%", at_); open != std::string::npos;
       open = source_.find("{%", open + 1)) {
    const char end_sign = sign_at(open + 2);
    size_t close = skip(open + 2 + (end_sign != '\0' ? 1 : 0));
    if (!has(close, "endraw")) continue;
    close = skip(close + 6);
    if (!has(close, "%}") && !has(close, "-%}") && !has(close, "+%}")) continue;
    emit_data(open, end_sign, false);
    advance(close - at_);
    lex_tag_end(false, false);  // {% endraw %} leaves no token
    return true;
  }
  fail("a raw block is not closed by {% endraw %}");
}

// At `-}}`, `}}`, `-%}`, `+%}` or `%}`: consumes it and the white space it takes along.
bool Lexer::lex_tag_end(bool is_variable, bool emits) {
  const std::string_view close = is_variable ? "}}" : "%}";
  const char sign = peek();
  const bool minus = sign == '-' && std::string_view(source_).substr(at_ + 1).starts_with(close);
  const bool plus =
      !is_variable && sign == '+' && std::string_view(source_).substr(at_ + 1).starts_with(close);
  if (!minus && !plus && !looking_at(close)) return false;
  if (emits) emit(is_variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd);
  advance(minus || plus ? 3 : 2);
  if (minus) {
    skip_space();
  } else if (!plus && !is_variable && peek() == '\n') {  // trim_blocks
    advance(1);
  }
  line_starting_ = source_[at_ - 1] == '\n';
  return true;
}

void Lexer::lex_tag(bool is_variable) {
  const int opened = line_;
  brackets_.clear();
  while (true) {
    if (brackets_.empty() && lex_tag_end(is_variable)) return;
    skip_space();
    if (brackets_.empty() && lex_tag_end(is_variable)) return;
    if (at_end()) {
      line_ = opened;
      fail(is_variable ? "{{ is not closed by }}" : "{% is not closed by %}");
    }
    lex_token();
  }
}

void Lexer::lex_token() {
  const char c = peek();
  if (is_digit(c)) {
    lex_number();
  } else if (is_name_start(c)) {
    size_t length = 1;
    while (is_name_part(peek(length))) ++length;
    emit(TokenKind::kName, source_.substr(at_, length));
    advance(length);
  } else if (c == '\'' || c == '"') {
    lex_string();
  } else {
    lex_operator();
  }
}

// 0x, 0o and 0b integers; decimal text is emitted, as for the others.
bool Lexer::lex_radix_number() {
  if (peek() != '0') return false;
  const char mark = static_cast<char>(peek(1) | 0x20);
  const int base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
  if (base == 0) return false;
  uint64_t value = 0;
  size_t length = 2;
  size_t digits = 0;
  for (;; ++length) {
    const char c = peek(length);
    if (c == '_') continue;
    const int digit = is_digit(c)                              ? c - '0'
                      : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                               : 99;
    if (digit >= base) break;
    if (value >> 59 != 0) fail("an integer is beyond 64 bits");
    value = value * static_cast<uint64_t>(base) + static_cast<uint64_t>(digit);
    ++digits;
  }
  if (digits == 0) fail("a number has no digits");
  emit(TokenKind::kInteger, std::to_string(value));
  advance(length);
  return true;
}

void Lexer::lex_number() {
  if (lex_radix_number()) return;
  std::string text;
  size_t length = 0;
  const auto take_digits = [&] {
    while (is_digit(peek(length)) || (peek(length) == '_' && is_digit(peek(length + 1)))) {
      if (peek(length) != '_') text.push_back(peek(length));
      ++length;
    }
  };
  take_digits();
  bool is_float = false;
  // A number after a dot is an index (`x.0.1`), not a fraction.
  const bool after_dot = !tokens_.empty() && tokens_.back().is_operator(".");
  if (!after_dot && peek(length) == '.' && is_digit(peek(length + 1))) {
    is_float = true;
    text.push_back('.');
    ++length;
    take_digits();
  }
  if (!after_dot && (peek(length) | 0x20) == 'e') {
    const bool sign = peek(length + 1) == '+' || peek(length + 1) == '-';
    if (is_digit(peek(length + (sign ? 2 : 1)))) {
      is_float = true;
      text.push_back('e');
      if (sign) text.push_back(peek(length + 1));
      length += sign ? 2 : 1;
      take_digits();
    }
  }
  emit(is_float ? TokenKind::kFloat : TokenKind::kInteger, text);
  advance(length);
}

void Lexer::lex_string() {
  const char quote = peek();
  const int opened = line_;
  std::string text;
  advance(1);
  while (peek() != quote || at_end()) {
    if (at_end()) {
      line_ = opened;
      fail("a string is not closed");
    }
    if (peek() == '\\') {
      advance(1);
      append_escape(text);
    } else {
      text.push_back(peek());
      advance(1);
    }
  }
  tokens_.push_back({TokenKind::kString, std::move(text), opened});
  advance(1);
}

char32_t Lexer::read_digits(size_t count, int base) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    const char c = peek();
    const int digit = is_digit(c)                              ? c - '0'
                      : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                               : 99;
    if (digit >= base) fail(fmt::format("a string escape needs {} digits of base {}", count, base));
    value = value * static_cast<uint32_t>(base) + static_cast<uint32_t>(digit);
    advance(1);
  }
  if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
    fail(fmt::format("a string escape names U+{:04X}, which is no character", value));
  }
  return value;
}

// After a backslash: Python's escapes.
void Lexer::append_escape(std::string& out) {
  constexpr std::string_view kNames = "ntr\\'\"abfv";
  constexpr std::string_view kCharacters = "\n\t\r\\'\"\a\b\f\v";
  const char c = peek();
  if (at_end()) return;
  if (const size_t known = kNames.find(c); known != std::string_view::npos) {
    out.push_back(kCharacters[known]);
    advance(1);
  } else if (c == '\n') {
    advance(1);
  } else if (c == 'x' || c == 'u' || c == 'U') {
    advance(1);
    append_utf8(out, read_digits(c == 'x' ? 2 : c == 'u' ? 4 : 8, 16));
  } else if (c >= '0' && c <= '7') {
    size_t digits = 1;
    while (digits < 3 && peek(digits) >= '0' && peek(digits) <= '7') ++digits;
    append_utf8(out, read_digits(digits, 8));
  } else if (c == 'N') {
    fail("the string escape \\N{...} is not supported");
  } else {
    out.push_back('\\');  // an unknown escape stays as it is
  }
}

void Lexer::lex_operator() {
  constexpr std::array<std::string_view, 7> kPairs = {"//", "**", "==", "!=", ">=", "<=", "}}"};
  constexpr std::string_view kSingles = "+-/*%~[](){}><=.:|,;";
  std::string_view symbol;
  for (const std::string_view pair : kPairs) {
    if (pair != "}}" && looking_at(pair)) symbol = pair;
  }
  if (symbol.empty()) {
    const size_t single = kSingles.find(peek());
    if (single == std::string_view::npos) fail(fmt::format("unexpected character '{}'", peek()));
    symbol = kSingles.substr(single, 1);
  }
  if (symbol == "(" || symbol == "[" || symbol == "{") {
    brackets_.push_back(symbol == "(" ? ')' : symbol == "[" ? ']' : '}');
  } else if (symbol == ")" || symbol == "]" || symbol == "}") {
    if (brackets_.empty()) fail(fmt::format("unexpected '{}'", symbol));
    if (brackets_.back() != symbol[0]) {
      fail(fmt::format("unexpected '{}', expected '{}'", symbol, brackets_.back()));
    }
    brackets_.pop_back();
  }
  emit(TokenKind::kOperator, std::string(symbol));
  advance(symbol.size());
}

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace gallop::text::jinja
