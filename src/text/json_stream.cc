#include "text/json_stream.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/ascii.h"
#include "text/tool_arguments.h"

namespace gallop::text {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_word_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' ||
         c == '.';
}

// Source: RFC 8259, section 6.
bool is_json_number(std::string_view text) {
  const auto digits = [&] {
    const size_t count = std::min(text.find_first_not_of("0123456789"), text.size());
    text.remove_prefix(count);
    return count;
  };
  if (text.starts_with('-')) text.remove_prefix(1);
  const bool zero = text.starts_with('0');
  const size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (digits() == 0) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (digits() == 0) return false;
  }
  return text.empty();
}

// JSON of a number or of one of the names; none where it is neither.
std::optional<std::string> word_json(std::string_view word) {
  if (word == "true" || word == "True") return "true";
  if (word == "false" || word == "False") return "false";
  if (word == "null" || word == "None") return "null";
  if (!is_json_number(word)) return std::nullopt;
  double value = 0;
  const auto parsed = std::from_chars(word.data(), word.data() + word.size(), value);
  if (parsed.ec != std::errc()) return '"' + std::string(word) + '"';
  return std::string(word);
}

// What a \uXXXX at the front of `text` stands for; -1: it is none, -2: it may become one.
int utf16_unit(std::string_view text) {
  if (text.size() < 2) return std::string_view("\\u").starts_with(text) ? -2 : -1;
  if (!text.starts_with("\\u")) return -1;
  int unit = 0;
  for (const char c : text.substr(2, 4)) {
    const char letter = static_cast<char>(c | 0x20);
    if (!is_digit(c) && (letter < 'a' || letter > 'f')) return -1;
    unit = unit * 16 + (is_digit(c) ? c - '0' : letter - 'a' + 10);
  }
  return text.size() < 6 ? -2 : unit;
}

}  // namespace

JsonStream::Status JsonStream::feed(char c) {
  if (in_string_) return string_char(c);
  if (is_word_char(c) &&
      (!word_.empty() || expect_ == Expect::kValue || expect_ == Expect::kValueOrEnd)) {
    word_.push_back(c);
    return Status::kMore;
  }
  if (!word_.empty()) {
    if (!emit_word()) return Status::kBad;
    if (expect_ == Expect::kNothing) return Status::kDoneBefore;
  }
  return is_blank(c) ? Status::kMore : structure_char(c);
}

JsonStream::Status JsonStream::structure_char(char c) {
  const bool value = expect_ == Expect::kValue || expect_ == Expect::kValueOrEnd;
  const bool key = expect_ == Expect::kKey || expect_ == Expect::kKeyOrEnd;
  if (value && (c == '{' || c == '[')) return open(c);
  if (c == '"' && (value || key)) {
    in_string_ = true;
    is_key_ = key;
    if (value) begin_value();
    (key ? key_ : output_) += '"';
    if (key) raw_key_ = "\"";
    return Status::kMore;
  }
  if (c == ':' && expect_ == Expect::kColon) {
    raw_key_ += ':';
    expect_ = Expect::kValue;
    return Status::kMore;
  }
  if (c == ',' && expect_ == Expect::kCommaOrEnd) {
    expect_ = levels_.back().object ? Expect::kKey : Expect::kValue;
    return Status::kMore;
  }
  return end_level(c);
}

JsonStream::Status JsonStream::open(char c) {
  if (levels_.size() == kMaxDepth) return Status::kBad;
  begin_value();
  levels_.push_back({c == '{', true});
  output_.push_back(c);
  expect_ = c == '{' ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
  return Status::kMore;
}

JsonStream::Status JsonStream::end_level(char c) {
  const bool after_comma = expect_ == Expect::kKey || (expect_ == Expect::kValue &&
                                                       !levels_.empty() && !levels_.back().object);
  const bool may_end = expect_ == Expect::kCommaOrEnd || expect_ == Expect::kKeyOrEnd ||
                       expect_ == Expect::kValueOrEnd || after_comma;
  if (!may_end || c != (levels_.back().object ? '}' : ']')) return Status::kBad;
  output_.push_back(c);
  levels_.pop_back();
  end_value();
  return status();
}

// A key goes out with its value, so that none is left without one.
void JsonStream::begin_value() {
  if (levels_.empty()) return;
  if (!levels_.back().empty) output_ += ", ";
  levels_.back().empty = false;
  if (!levels_.back().object) return;
  output_ += std::exchange(key_, {}) + ": ";
  raw_key_.clear();
}

void JsonStream::end_value() { expect_ = levels_.empty() ? Expect::kNothing : Expect::kCommaOrEnd; }

JsonStream::Status JsonStream::string_char(char c) {
  if (is_key_) raw_key_.push_back(c);
  if (c == '\\' || !escape_.empty()) {
    escape_.push_back(c);
    while (!escape_.empty() && take_escape()) {
    }
    return in_string_ ? Status::kMore : status();
  }
  if (c == '"') return end_string();
  (is_key_ ? key_ : output_) += json_escape(std::string_view(&c, 1));
  return Status::kMore;
}

JsonStream::Status JsonStream::end_string() {
  (is_key_ ? key_ : output_) += '"';
  in_string_ = false;
  if (!is_key_) {
    end_value();
    return status();
  }
  expect_ = Expect::kColon;
  return Status::kMore;
}

// Moves what is decided from the front of escape_, an escape or a plain character behind a false
// one, to the string; false where more must come.
bool JsonStream::take_escape() {
  std::string& target = is_key_ ? key_ : output_;
  const auto take = [&](size_t size, std::string_view json) {
    target += json;
    escape_.erase(0, size);
    return true;
  };
  if (escape_[0] == '"') {
    escape_.clear();
    end_string();
    return true;
  }
  if (escape_[0] != '\\') return take(1, json_escape(std::string_view(escape_).substr(0, 1)));
  if (escape_.size() == 1) return false;
  if (std::string_view("\"\\/bfnrt").find(escape_[1]) != std::string_view::npos) {
    return take(2, escape_.substr(0, 2));
  }
  const int unit = utf16_unit(escape_);
  if (unit == -2) return false;
  if (unit == -1) return take(1, "\\\\");  // a backslash that escapes nothing stands for itself
  if (unit < 0xD800 || unit > 0xDFFF) return take(6, escape_.substr(0, 6));
  if (unit >= 0xDC00) return take(6, "\\ufffd");
  const int low = utf16_unit(std::string_view(escape_).substr(6));
  if (low == -2) return false;
  const bool pair = low >= 0xDC00 && low <= 0xDFFF;
  return pair ? take(12, escape_.substr(0, 12)) : take(6, "\\ufffd");
}

bool JsonStream::emit_word() {
  const std::optional<std::string> json = word_json(word_);
  if (!json) return false;
  begin_value();
  output_ += *json;
  word_.clear();
  end_value();
  return true;
}

std::string JsonStream::pending() const {
  if (!raw_key_.empty()) return raw_key_ + word_;
  return in_string_ ? escape_ : word_;
}

std::string JsonStream::close() {
  if (!word_.empty() && !emit_word()) word_.clear();
  if (in_string_ && !is_key_) {
    output_ += '"';
    end_value();
  }
  in_string_ = false;
  for (; !levels_.empty(); levels_.pop_back()) output_.push_back(levels_.back().object ? '}' : ']');
  expect_ = Expect::kNothing;
  return take_output();
}

}  // namespace gallop::text
