// Runs a parsed template once. Variables live in scopes that follow Jinja's rules: a for loop,
// macro, call, with or filter block has its own, an if has none; assignments never reach outwards.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"

namespace gallop::text::jinja {

struct Scope {
  std::shared_ptr<Scope> parent;
  List<std::pair<NameId, Value>> variables;

  Value* find_here(NameId name);
  void set(NameId name, Value value);
};

class Interpreter : public Runtime {
 public:
  Interpreter(const Program& program, const Limits& limits);
  ~Interpreter() override;

  // A variable of the context; it hides a global function of the same name.
  void define(const std::string& name, Value value);
  // Renders once.
  std::string run();

 private:
  enum class Flow { kNext, kBreak, kContinue };
  class ScopeGuard;
  class OutputGuard;

  // Statements (interpreter.cc).
  Flow execute(const Block& block);
  Flow execute(const Statement& statement);
  Flow execute_if(const Statement& statement);
  Flow execute_for(const Statement& statement);
  Flow execute_for_body(const Statement& statement, const std::shared_ptr<const ListObject>& items);
  std::shared_ptr<const ListObject> filtered_items(const Statement& statement);
  void execute_set_block(const Statement& statement);
  void execute_filter_block(const Statement& statement);
  void execute_call_block(const Statement& statement);
  void execute_with(const Statement& statement);
  Text render_block(const Block& block);
  Value filtered_block(const Statement& statement);
  void assign(const Target& target, const Value& value);
  void assign_attribute(const Target& target, const Value& value);
  void print(const Value& value);
  void write(std::string_view text);
  Value make_macro(const Macro& macro);

  // Expressions (evaluate.cc).
  Value evaluate(const Expr& expr);
  Value evaluate_operation(const Expr& expr);
  Value evaluate_access(const Expr& expr);
  Value evaluate_concat(const Expr& expr);
  Value evaluate_compare(const Expr& expr);
  Value evaluate_conditional(const Expr& expr);
  Value evaluate_call(const Expr& expr, const Value* caller);
  Value evaluate_dict(const Expr& expr);
  List<Value> evaluate_all(const std::vector<ExprPtr>& exprs, size_t from);
  Arguments evaluate_arguments(const Expr& expr);
  Value lookup(NameId name);
  void set_variable(NameId name, Value value);
  Value call(const Value& callee, Arguments arguments);
  Value call_macro(const MacroObject& macro, Arguments arguments);
  void bind_macro(const Macro& macro, Arguments& arguments);
  void bind_parameter(const Macro& macro, size_t index, Arguments& arguments,
                      std::vector<bool>& used);
  void bind_surplus(const Macro& macro, Arguments& arguments, const std::vector<bool>& used);

  const Program& program_;
  List<Value> context_;  // by NameId; undefined without an object: not given
  std::vector<bool> in_context_;
  std::shared_ptr<Scope> scope_;
  List<std::shared_ptr<Scope>> captured_;  // by macros: emptied at the end, for cycles
  Text* out_ = nullptr;
  const Value* block_input_ = nullptr;
  int32_t depth_ = 0;
};

// range, namespace, dict, raise_exception, strftime_now, cycler, joiner; null for other names.
NativeFunction find_global(const std::string& name, const char** stored_name);

}  // namespace gallop::text::jinja
