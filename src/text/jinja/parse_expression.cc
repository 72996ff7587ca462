#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "text/jinja/parser.h"
#include "text/jinja/runtime.h"

namespace gallop::text::jinja {
namespace {

// Chains such as a + b + c + ... or x|f|g|... make trees that are this deep at most.
constexpr int kMaxExprDepth = 400;

}  // namespace

ExprPtr Parser::node(ExprKind kind, int line) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = line;
  return expr;
}

ExprPtr Parser::finish(ExprPtr expr) const {
  int depth = 0;
  for (const ExprPtr& arg : expr->args) {
    if (arg != nullptr) depth = std::max(depth, arg->depth);
  }
  for (const auto& [name, arg] : expr->named) depth = std::max(depth, arg->depth);
  expr->depth = depth + 1;
  if (expr->depth > kMaxExprDepth) {
    fail(fmt::format("an expression nests deeper than {} levels", kMaxExprDepth));
  }
  return expr;
}

ExprPtr Parser::unary(ExprKind kind, int line, ExprPtr operand) {
  ExprPtr expr = node(kind, line);
  expr->args.push_back(std::move(operand));
  return finish(std::move(expr));
}

ExprPtr Parser::binary(std::string_view symbol, int line, ExprPtr left, ExprPtr right) {
  ExprPtr expr = node(ExprKind::kBinary, line);
  expr->operators.push_back(symbol == "+"    ? Operator::kAdd
                            : symbol == "-"  ? Operator::kSubtract
                            : symbol == "*"  ? Operator::kMultiply
                            : symbol == "/"  ? Operator::kDivide
                            : symbol == "//" ? Operator::kFloorDivide
                            : symbol == "%"  ? Operator::kModulo
                                             : Operator::kPower);
  expr->args.push_back(std::move(left));
  expr->args.push_back(std::move(right));
  return finish(std::move(expr));
}

ExprPtr Parser::parse_expression() {
  const Nesting nesting(*this);
  int line = current().line;
  ExprPtr value = parse_or();
  while (take_name("if")) {
    ExprPtr expr = node(ExprKind::kConditional, line);
    expr->args.push_back(parse_or());
    expr->args.push_back(std::move(value));
    expr->args.push_back(take_name("else") ? parse_expression() : nullptr);
    value = finish(std::move(expr));
    line = current().line;
  }
  return value;
}

// One expression, or several with commas: a tuple. `end_name` may follow a trailing comma.
ExprPtr Parser::parse_tuple(bool conditional, std::string_view end_name) {
  const int line = current().line;
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) expect_operator(",");
    const TokenKind kind = current().kind;
    if (kind == TokenKind::kVariableEnd || kind == TokenKind::kBlockEnd ||
        current().is_operator(")") || (!end_name.empty() && current().is_name(end_name))) {
      break;
    }
    items.push_back(conditional ? parse_expression() : parse_or());
    if (!current().is_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (items.empty()) fail_unexpected("an expression");
    return std::move(items.front());
  }
  ExprPtr expr = node(ExprKind::kTuple, line);
  expr->args = std::move(items);
  return finish(std::move(expr));
}

ExprPtr Parser::parse_or() {
  ExprPtr left = parse_and();
  while (current().is_name("or")) {
    ExprPtr expr = node(ExprKind::kOr, take().line);
    expr->args.push_back(std::move(left));
    expr->args.push_back(parse_and());
    left = finish(std::move(expr));
  }
  return left;
}

ExprPtr Parser::parse_and() {
  ExprPtr left = parse_not();
  while (current().is_name("and")) {
    ExprPtr expr = node(ExprKind::kAnd, take().line);
    expr->args.push_back(std::move(left));
    expr->args.push_back(parse_not());
    left = finish(std::move(expr));
  }
  return left;
}

ExprPtr Parser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  const Nesting nesting(*this);
  const int line = take().line;
  return unary(ExprKind::kNot, line, parse_not());
}

ExprPtr Parser::parse_compare() {
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"==", Operator::kEqual},     {"!=", Operator::kNotEqual}, {"<", Operator::kLess},
      {"<=", Operator::kLessEqual}, {">", Operator::kGreater},   {">=", Operator::kGreaterEqual}};
  ExprPtr first = parse_sum();
  ExprPtr expr = node(ExprKind::kCompare, current().line);
  while (true) {
    const auto* const known =
        std::find_if(std::begin(kOperators), std::end(kOperators),
                     [&](const auto& entry) { return current().is_operator(entry.first); });
    Operator op = Operator::kIn;
    if (known != std::end(kOperators)) {
      op = known->second;
    } else if (current().is_name("not") && ahead().is_name("in")) {
      op = Operator::kNotIn;
      ++at_;
    } else if (!current().is_name("in")) {
      break;
    }
    ++at_;
    if (expr->args.empty()) expr->args.push_back(std::move(first));
    expr->operators.push_back(op);
    expr->args.push_back(parse_sum());
  }
  return expr->args.empty() ? std::move(first) : finish(std::move(expr));
}

ExprPtr Parser::parse_sum() {
  ExprPtr left = parse_concat();
  while (current().is_operator("+") || current().is_operator("-")) {
    const Token symbol = take();
    left = binary(symbol.text, symbol.line, std::move(left), parse_concat());
  }
  return left;
}

ExprPtr Parser::parse_concat() {
  ExprPtr first = parse_product();
  if (!current().is_operator("~")) return first;
  ExprPtr expr = node(ExprKind::kConcat, current().line);
  expr->args.push_back(std::move(first));
  while (take_operator("~")) expr->args.push_back(parse_product());
  return finish(std::move(expr));
}

ExprPtr Parser::parse_product() {
  ExprPtr left = parse_power();
  while (current().is_operator("*") || current().is_operator("/") || current().is_operator("//") ||
         current().is_operator("%")) {
    const Token symbol = take();
    left = binary(symbol.text, symbol.line, std::move(left), parse_power());
  }
  return left;
}

ExprPtr Parser::parse_power() {
  ExprPtr left = parse_unary(true);
  while (current().is_operator("**")) {
    const int line = take().line;
    left = binary("**", line, std::move(left), parse_unary(true));
  }
  return left;
}

ExprPtr Parser::parse_unary(bool with_filters) {
  const Nesting nesting(*this);
  const int line = current().line;
  ExprPtr expr;
  if (take_operator("-")) {
    expr = unary(ExprKind::kNegate, line, parse_unary(false));
  } else if (take_operator("+")) {
    expr = unary(ExprKind::kPlus, line, parse_unary(false));
  } else {
    expr = parse_primary();
  }
  expr = parse_postfix(std::move(expr));
  return with_filters ? parse_filters_and_tests(std::move(expr)) : std::move(expr);
}

ExprPtr Parser::parse_primary() {
  switch (current().kind) {
    case TokenKind::kName:
      return parse_name();
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return parse_number();
    case TokenKind::kString: {
      ExprPtr expr = node(ExprKind::kConstant, current().line);
      std::string text;
      while (current().kind == TokenKind::kString) text += take().text;
      expr->constant = Value::constant_string(std::move(text));
      return expr;
    }
    default:
      break;
  }
  if (current().is_operator("(")) return parse_parenthesis();
  if (current().is_operator("[")) return parse_list();
  if (current().is_operator("{")) return parse_dict();
  fail_unexpected("an expression");
}

ExprPtr Parser::parse_name() {
  const Token token = take();
  const std::string& name = token.text;
  ExprPtr expr = node(ExprKind::kConstant, token.line);
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    expr->constant = Value::boolean(name == "true" || name == "True");
  } else if (name == "none" || name == "None") {
    expr->constant = Value::none();
  } else {
    expr->kind = ExprKind::kName;
    expr->name = intern(name);
    if (macro_ != nullptr) {
      macro_->uses_varargs |= name == "varargs";
      macro_->uses_kwargs |= name == "kwargs";
      macro_->uses_caller |= name == "caller";
    }
  }
  return expr;
}

ExprPtr Parser::parse_number() {
  const Token token = take();
  ExprPtr expr = node(ExprKind::kConstant, token.line);
  if (token.kind == TokenKind::kFloat) {
    expr->constant = Value::real(std::strtod(token.text.c_str(), nullptr));
    return expr;
  }
  int64_t value = 0;
  const char* const end = token.text.data() + token.text.size();
  if (std::from_chars(token.text.data(), end, value).ec != std::errc()) {
    throw TemplateError{fmt::format("integer {} is beyond 64 bits", token.text), token.line};
  }
  expr->constant = Value::integer(value);
  return expr;
}

ExprPtr Parser::parse_parenthesis() {
  const int line = take().line;
  if (take_operator(")")) return finish(node(ExprKind::kTuple, line));
  ExprPtr expr = parse_tuple(true);
  expect_operator(")");
  return expr;
}

ExprPtr Parser::parse_list() {
  ExprPtr expr = node(ExprKind::kList, take().line);
  while (!current().is_operator("]")) {
    if (!expr->args.empty()) expect_operator(",");
    if (current().is_operator("]")) break;
    expr->args.push_back(parse_expression());
  }
  expect_operator("]");
  return finish(std::move(expr));
}

ExprPtr Parser::parse_dict() {
  ExprPtr expr = node(ExprKind::kDict, take().line);
  while (!current().is_operator("}")) {
    if (!expr->args.empty()) expect_operator(",");
    if (current().is_operator("}")) break;
    expr->args.push_back(parse_expression());
    expect_operator(":");
    expr->args.push_back(parse_expression());
  }
  expect_operator("}");
  return finish(std::move(expr));
}

ExprPtr Parser::parse_postfix(ExprPtr operand) {
  while (true) {
    const int line = current().line;
    if (take_operator(".")) {
      const Token name = take();
      if (name.kind == TokenKind::kInteger) {
        --at_;
        ExprPtr item = node(ExprKind::kItem, line);
        item->args.push_back(std::move(operand));
        item->args.push_back(parse_number());
        operand = finish(std::move(item));
        continue;
      }
      if (name.kind != TokenKind::kName) {
        --at_;
        fail_unexpected("a name or a number after '.'");
      }
      operand = unary(ExprKind::kAttribute, line, std::move(operand));
      operand->text = name.text;
    } else if (current().is_operator("[")) {
      operand = parse_subscript(std::move(operand));
    } else if (current().is_operator("(")) {
      ExprPtr call = node(ExprKind::kCall, line);
      call->args.push_back(std::move(operand));
      parse_call_arguments(*call);
      operand = finish(std::move(call));
    } else {
      return operand;
    }
  }
}

ExprPtr Parser::parse_subscript(ExprPtr operand) {
  ExprPtr expr = node(ExprKind::kSlice, take().line);
  expr->args.push_back(std::move(operand));
  const auto at_bound = [&] { return current().is_operator(":") || current().is_operator("]"); };
  ExprPtr first = at_bound() ? nullptr : parse_tuple(true);
  if (!current().is_operator(":")) {
    if (first == nullptr) fail_unexpected("an index");
    expr->kind = ExprKind::kItem;
    expr->args.push_back(std::move(first));
  } else {
    expr->args.push_back(std::move(first));
    while (take_operator(":")) {
      if (expr->args.size() == 4) fail_unexpected("']'");
      expr->args.push_back(at_bound() ? nullptr : parse_expression());
    }
    expr->args.resize(4);
  }
  expect_operator("]");
  return finish(std::move(expr));
}

ExprPtr Parser::parse_filters_and_tests(ExprPtr operand) {
  while (true) {
    if (current().is_operator("|")) {
      operand = parse_filter_chain(std::move(operand));
    } else if (current().is_name("is")) {
      operand = parse_test(std::move(operand));
    } else if (current().is_operator("(")) {
      ExprPtr call = node(ExprKind::kCall, current().line);
      call->args.push_back(std::move(operand));
      parse_call_arguments(*call);
      operand = finish(std::move(call));
    } else {
      return operand;
    }
  }
}

std::string Parser::parse_dotted_name(std::string_view what) {
  std::string name = expect_any_name(what);
  while (take_operator(".")) name += "." + expect_any_name(what);
  return name;
}

ExprPtr Parser::parse_filter_chain(ExprPtr operand) {
  while (take_operator("|")) {
    ExprPtr filter = node(ExprKind::kFilter, current().line);
    filter->text = parse_dotted_name("a filter");
    filter->args.push_back(std::move(operand));
    if (current().is_operator("(")) parse_call_arguments(*filter);
    operand = finish(std::move(filter));
  }
  return operand;
}

ExprPtr Parser::parse_test(ExprPtr operand) {
  const int line = take().line;
  const bool negated = take_name("not");
  ExprPtr test = node(ExprKind::kTest, line);
  test->text = parse_dotted_name("a test");
  test->args.push_back(std::move(operand));
  const Token& next = current();
  const bool is_value = next.kind == TokenKind::kString || next.kind == TokenKind::kInteger ||
                        next.kind == TokenKind::kFloat || next.is_operator("[") ||
                        next.is_operator("{");
  const bool is_argument_name = next.kind == TokenKind::kName && next.text != "else" &&
                                next.text != "or" && next.text != "and";
  if (next.is_operator("(")) {
    parse_call_arguments(*test);
  } else if (is_value || is_argument_name) {
    if (next.is_name("is")) fail("tests can not be chained with 'is'");
    test->args.push_back(parse_postfix(parse_primary()));
  }
  ExprPtr expr = finish(std::move(test));
  return negated ? unary(ExprKind::kNot, line, std::move(expr)) : std::move(expr);
}

// `(a, b, name=c)`; appends to call.args and call.named.
void Parser::parse_call_arguments(Expr& call) {
  const Nesting nesting(*this);
  expect_operator("(");
  bool first = true;
  while (!current().is_operator(")")) {
    if (!first) {
      expect_operator(",");
      if (current().is_operator(")")) break;
    }
    first = false;
    if (current().is_operator("*") || current().is_operator("**")) {
      fail("* and ** in a call are not supported");
    }
    if (current().kind == TokenKind::kName && ahead().is_operator("=")) {
      std::string name = take().text;
      ++at_;
      call.named.emplace_back(std::move(name), parse_expression());
    } else {
      if (!call.named.empty()) fail("a positional argument follows a named one");
      call.args.push_back(parse_expression());
    }
  }
  expect_operator(")");
}

}  // namespace gallop::text::jinja
