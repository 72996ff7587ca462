#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "text/jinja/parser.h"
#include "text/jinja/runtime.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

constexpr int kMaxNesting = 200;  // open parentheses, blocks... at one place of a template

}  // namespace

Parser::Nesting::Nesting(Parser& parser) : parser_(parser) {
  if (parser.nesting_ >= kMaxNesting) {
    parser.fail(fmt::format("the template nests deeper than {} levels", kMaxNesting));
  }
  ++parser.nesting_;
}

Token Parser::take() {
  Token token = tokens_[at_];
  if (token.kind != TokenKind::kEnd) ++at_;
  return token;
}

bool Parser::take_operator(std::string_view symbol) {
  if (!current().is_operator(symbol)) return false;
  ++at_;
  return true;
}

bool Parser::take_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  ++at_;
  return true;
}

void Parser::expect_operator(std::string_view symbol) {
  if (!take_operator(symbol)) fail_unexpected(fmt::format("'{}'", symbol));
}

void Parser::expect_name(std::string_view name) {
  if (!take_name(name)) fail_unexpected(fmt::format("'{}'", name));
}

std::string Parser::expect_any_name(std::string_view what) {
  if (current().kind != TokenKind::kName) fail_unexpected(what);
  return take().text;
}

void Parser::fail(std::string message) const {
  throw TemplateError{std::move(message), current().line};
}

void Parser::fail_unexpected(std::string_view expected) const {
  const Token& token = current();
  std::string found;
  switch (token.kind) {
    case TokenKind::kEnd:
      found = "the end of the template";
      break;
    case TokenKind::kData:
      found = "text";
      break;
    case TokenKind::kVariableEnd:
      found = "'}}'";
      break;
    case TokenKind::kBlockEnd:
      found = "'%}'";
      break;
    default:
      found = fmt::format("'{}'", token.text);
  }
  fail(fmt::format("expected {}, found {}", expected, found));
}

NameId Parser::intern(const std::string& name) {
  const auto [place, fresh] = name_ids_.emplace(name, static_cast<NameId>(names_.size()));
  if (fresh) names_.push_back(name);
  return place->second;
}

Program Parser::parse() {
  Program program;
  program.body = parse_block({});
  program.loop = intern("loop");
  program.caller = intern("caller");
  program.kwargs = intern("kwargs");
  program.varargs = intern("varargs");
  program.names = std::move(names_);
  return program;
}

std::unique_ptr<Statement> Parser::make(StatementKind kind) const {
  auto statement = std::make_unique<Statement>();
  statement->kind = kind;
  statement->line = current().line;
  return statement;
}

Block Parser::parse_block(Names ends) {
  const Nesting nesting(*this);
  Block block;
  while (true) {
    switch (current().kind) {
      case TokenKind::kEnd:
        if (ends.size() != 0) fail_unexpected(fmt::format("{{% {} %}}", *ends.begin()));
        return block;
      case TokenKind::kData: {
        auto data = make(StatementKind::kData);
        data->text = take().text;
        block.push_back(std::move(data));
        break;
      }
      case TokenKind::kVariableBegin:
        parse_print(block);
        break;
      default: {
        ++at_;  // {%
        const std::string& name = current().text;
        if (current().kind == TokenKind::kName &&
            std::find(ends.begin(), ends.end(), name) != ends.end()) {
          return block;
        }
        block.push_back(parse_statement());
        end_tag();
      }
    }
  }
}

void Parser::end_tag() {
  if (current().kind != TokenKind::kBlockEnd) fail_unexpected("'%}'");
  ++at_;
}

Block Parser::parse_body(std::string_view end) {
  end_tag();
  Block block = parse_block({end});
  ++at_;
  return block;
}

void Parser::parse_print(Block& block) {
  auto print = make(StatementKind::kPrint);
  ++at_;
  print->value = parse_tuple(true);
  if (current().kind != TokenKind::kVariableEnd) fail_unexpected("'}}'");
  ++at_;
  block.push_back(std::move(print));
}

std::unique_ptr<Statement> Parser::parse_statement() {
  const std::string name = current().kind == TokenKind::kName ? current().text : "";
  if (name == "if") return parse_if();
  if (name == "for") return parse_for();
  if (name == "set") return parse_set();
  if (name == "macro") return parse_macro();
  if (name == "call") return parse_call_block();
  if (name == "filter") return parse_filter_block();
  if (name == "with") return parse_with();
  if (name == "generation") return parse_generation();
  if (name == "break") return parse_loop_control(StatementKind::kBreak);
  if (name == "continue") return parse_loop_control(StatementKind::kContinue);
  if (name.empty()) fail_unexpected("a statement");
  fail(fmt::format("the statement {{% {} %}} is not known here", name));
}

std::unique_ptr<Statement> Parser::parse_loop_control(StatementKind kind) {
  auto statement = make(kind);
  if (loops_ == 0) fail(fmt::format("'{}' outside of a loop", current().text));
  ++at_;
  return statement;
}

std::unique_ptr<Statement> Parser::parse_if() {
  auto statement = make(StatementKind::kIf);
  do {
    ++at_;  // if, elif
    statement->values.push_back(parse_tuple(false));
    end_tag();
    statement->blocks.push_back(parse_block({"endif", "else", "elif"}));
  } while (current().is_name("elif"));
  if (take_name("else")) {
    statement->blocks.push_back(parse_body("endif"));
  } else {
    ++at_;  // endif
  }
  return statement;
}

std::unique_ptr<Statement> Parser::parse_for() {
  auto statement = make(StatementKind::kFor);
  ++at_;
  statement->target = parse_target(false, "in");
  expect_name("in");
  statement->value = parse_tuple(false, "recursive");
  if (take_name("if")) statement->filter = parse_expression();
  if (current().is_name("recursive")) fail("a recursive for loop is not supported");
  end_tag();
  ++loops_;
  statement->blocks.push_back(parse_block({"endfor", "else"}));
  --loops_;
  if (take_name("else")) {
    statement->blocks.push_back(parse_body("endfor"));
  } else {
    ++at_;  // endfor
    statement->blocks.emplace_back();
  }
  return statement;
}

std::string Parser::parse_target_name() {
  static constexpr std::string_view kReserved[] = {"true", "false", "none",
                                                   "True", "False", "None"};
  const std::string& name = current().text;
  if (std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved)) {
    fail(fmt::format("can not assign to '{}'", name));
  }
  return expect_any_name("a name to assign to");
}

Target Parser::parse_single_target(bool allow_attribute) {
  Target target;
  if (take_operator("(")) {
    const Nesting nesting(*this);
    target = parse_target(allow_attribute, ")");
    expect_operator(")");
    return target;
  }
  target.name = intern(parse_target_name());
  if (allow_attribute && take_operator(".")) target.attribute = expect_any_name("an attribute");
  return target;
}

// `end` follows the targets: it may come after a trailing comma.
Target Parser::parse_target(bool allow_attribute, std::string_view end) {
  Target first = parse_single_target(allow_attribute);
  if (!current().is_operator(",")) return first;
  Target target;
  target.is_tuple = true;
  target.items.push_back(std::move(first));
  while (take_operator(",")) {
    if (current().is_name(end) || current().is_operator(end)) break;
    target.items.push_back(parse_single_target(allow_attribute));
  }
  return target;
}

std::unique_ptr<Statement> Parser::parse_set() {
  auto statement = make(StatementKind::kSet);
  ++at_;
  statement->target = parse_target(true, "=");
  if (take_operator("=")) {
    statement->value = parse_tuple(true);
    return statement;
  }
  statement->kind = StatementKind::kSetBlock;
  statement->value = node(ExprKind::kBlockInput, current().line);
  statement->value = parse_filter_chain(std::move(statement->value));
  statement->blocks.push_back(parse_body("endset"));
  return statement;
}

void Parser::parse_signature(Macro& macro) {
  expect_operator("(");
  while (!current().is_operator(")")) {
    if (!macro.parameters.empty()) expect_operator(",");
    const std::string name = parse_target_name();
    macro.parameters.emplace_back(intern(name), name);
    if (take_operator("=")) {
      macro.defaults.push_back(parse_expression());
    } else if (!macro.defaults.empty()) {
      fail(fmt::format("parameter '{}' without a default follows one with a default", name));
    }
  }
  expect_operator(")");
}

void Parser::parse_macro_body(Macro& macro, std::string_view end) {
  Macro* const outer = std::exchange(macro_, &macro);
  const int loops = std::exchange(loops_, 0);
  macro.body = parse_body(end);
  macro_ = outer;
  loops_ = loops;
}

std::unique_ptr<Statement> Parser::parse_macro() {
  auto statement = make(StatementKind::kMacro);
  ++at_;
  statement->macro = std::make_unique<Macro>();
  Macro& macro = *statement->macro;
  macro.name = parse_target_name();
  macro.name_id = intern(macro.name);
  parse_signature(macro);
  parse_macro_body(macro, "endmacro");
  return statement;
}

std::unique_ptr<Statement> Parser::parse_call_block() {
  auto statement = make(StatementKind::kCallBlock);
  ++at_;
  statement->macro = std::make_unique<Macro>();
  statement->macro->name = "caller";
  statement->macro->name_id = intern("caller");
  if (current().is_operator("(")) parse_signature(*statement->macro);
  statement->value = parse_expression();
  if (statement->value->kind != ExprKind::kCall) fail("{% call %} needs a call");
  parse_macro_body(*statement->macro, "endcall");
  return statement;
}

std::unique_ptr<Statement> Parser::parse_filter_block() {
  auto statement = make(StatementKind::kFilterBlock);
  ++at_;
  ExprPtr input = node(ExprKind::kBlockInput, current().line);
  ExprPtr first = node(ExprKind::kFilter, current().line);
  first->text = parse_dotted_name("a filter");
  first->args.push_back(std::move(input));
  if (current().is_operator("(")) parse_call_arguments(*first);
  statement->value = parse_filter_chain(finish(std::move(first)));
  statement->blocks.push_back(parse_body("endfilter"));
  return statement;
}

std::unique_ptr<Statement> Parser::parse_with() {
  auto statement = make(StatementKind::kWith);
  ++at_;
  while (current().kind != TokenKind::kBlockEnd) {
    if (!statement->targets.empty()) expect_operator(",");
    statement->targets.push_back(parse_single_target(false));
    expect_operator("=");
    statement->values.push_back(parse_expression());
  }
  statement->blocks.push_back(parse_body("endwith"));
  return statement;
}

std::unique_ptr<Statement> Parser::parse_generation() {
  auto statement = make(StatementKind::kScope);
  ++at_;
  const int loops = std::exchange(loops_, 0);  // its body is a function of its own in transformers
  statement->blocks.push_back(parse_body("endgeneration"));
  loops_ = loops;
  return statement;
}

Program parse_program(std::string_view source) {
  if (!is_valid_utf8(source)) throw TemplateError{"the template is not valid UTF-8", 0};
  return Parser(tokenize(source)).parse();
}

}  // namespace gallop::text::jinja
