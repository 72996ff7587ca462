// Tokens to the tree of ast.h, with Jinja's grammar and precedence. What Jinja has and this does
// not is an error that names it.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace gallop::text::jinja {

// Throws TemplateError with the line.
Program parse_program(std::string_view source);

// The state behind parse_program; parse_statement.cc and parse_expression.cc share it.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Program parse();

 private:
  using Names = std::initializer_list<std::string_view>;

  // Tokens.
  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  Token take();
  bool take_operator(std::string_view symbol);
  bool take_name(std::string_view name);
  void expect_operator(std::string_view symbol);
  void expect_name(std::string_view name);
  std::string expect_any_name(std::string_view what);
  [[noreturn]] void fail(std::string message) const;
  [[noreturn]] void fail_unexpected(std::string_view expected) const;
  NameId intern(const std::string& name);

  // Statements.
  Block parse_block(Names ends);  // stops at {% end..., the name being current()
  void end_tag();
  Block parse_body(std::string_view end);  // a whole body up to and with {% end %}
  void parse_print(Block& block);
  std::unique_ptr<Statement> parse_statement();
  std::unique_ptr<Statement> make(StatementKind kind) const;
  std::unique_ptr<Statement> parse_if();
  std::unique_ptr<Statement> parse_for();
  std::unique_ptr<Statement> parse_set();
  std::unique_ptr<Statement> parse_macro();
  std::unique_ptr<Statement> parse_call_block();
  std::unique_ptr<Statement> parse_filter_block();
  std::unique_ptr<Statement> parse_with();
  std::unique_ptr<Statement> parse_generation();
  std::unique_ptr<Statement> parse_loop_control(StatementKind kind);
  void parse_signature(Macro& macro);
  void parse_macro_body(Macro& macro, std::string_view end);
  Target parse_target(bool allow_attribute, std::string_view end);
  Target parse_single_target(bool allow_attribute);
  std::string parse_target_name();

  // Expressions, loosest first.
  ExprPtr parse_expression();
  ExprPtr parse_tuple(bool conditional, std::string_view end_name = {});
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filters);
  ExprPtr parse_primary();
  ExprPtr parse_parenthesis();
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_number();
  ExprPtr parse_name();
  ExprPtr parse_postfix(ExprPtr operand);
  ExprPtr parse_subscript(ExprPtr operand);
  ExprPtr parse_filters_and_tests(ExprPtr operand);
  ExprPtr parse_filter_chain(ExprPtr operand);
  ExprPtr parse_test(ExprPtr operand);
  void parse_call_arguments(Expr& call);
  std::string parse_dotted_name(std::string_view what);
  ExprPtr node(ExprKind kind, int line) const;
  ExprPtr unary(ExprKind kind, int line, ExprPtr operand);
  ExprPtr binary(std::string_view symbol, int line, ExprPtr left, ExprPtr right);
  ExprPtr finish(ExprPtr expr) const;  // sets the depth, once the arguments are there

  // Guards each recursion of the parser.
  class Nesting {
   public:
    explicit Nesting(Parser& parser);
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Parser& parser_;
  };

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
  int loops_ = 0;                           // open for loops of the current macro
  Macro* macro_ = nullptr;                  // the macro whose body is being parsed
  std::map<std::string, NameId> name_ids_;  // no hashes: the source could choose ones that collide
  std::vector<std::string> names_;
};

}  // namespace gallop::text::jinja
