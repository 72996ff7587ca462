#include <algorithm>

#include <fmt/format.h>

#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"

namespace gallop::text::jinja {

Value Interpreter::lookup(NameId name) {
  for (Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    tick(1 + scope->variables.size() / 16);
    if (const Value* const found = scope->find_here(name)) return *found;
  }
  if (in_context_[name]) return context_[name];
  return undefined(fmt::format("'{}' is undefined", program_.names[name]));
}

void Interpreter::set_variable(NameId name, Value value) {
  tick(1 + scope_->variables.size() / 16);
  scope_->set(name, std::move(value));
}

Value Interpreter::evaluate(const Expr& expr) {
  const DepthGuard guard(*this, depth_, limits().eval_depth);
  tick();
  switch (expr.kind) {
    case ExprKind::kConstant:
      return expr.constant;
    case ExprKind::kName:
      return lookup(expr.name);
    case ExprKind::kBlockInput:
      return *block_input_;
    case ExprKind::kList:
      return list(evaluate_all(expr.args, 0));
    case ExprKind::kTuple:
      return tuple(evaluate_all(expr.args, 0));
    case ExprKind::kDict:
      return evaluate_dict(expr);
    case ExprKind::kAttribute:
    case ExprKind::kItem:
    case ExprKind::kSlice:
      return evaluate_access(expr);
    case ExprKind::kCall:
      return evaluate_call(expr, nullptr);
    case ExprKind::kConcat:
      return evaluate_concat(expr);
    case ExprKind::kCompare:
      return evaluate_compare(expr);
    case ExprKind::kConditional:
      return evaluate_conditional(expr);
    default:
      return evaluate_operation(expr);
  }
}

Value Interpreter::evaluate_operation(const Expr& expr) {
  Value first = evaluate(*expr.args[0]);
  switch (expr.kind) {
    case ExprKind::kAnd:
      return first.truth() ? evaluate(*expr.args[1]) : first;
    case ExprKind::kOr:
      return first.truth() ? first : evaluate(*expr.args[1]);
    case ExprKind::kNot:
      return Value::boolean(!first.truth());
    case ExprKind::kNegate:
      set_line(expr.line);
      return negate(*this, first);
    case ExprKind::kPlus:
      set_line(expr.line);
      if (first.is_integral()) return Value::integer(first.as_int());
      if (!first.is(Kind::kFloat)) return negate(*this, first);  // fails
      return first;
    case ExprKind::kFilter: {
      const Arguments arguments = evaluate_arguments(expr);
      set_line(expr.line);
      return apply_filter(*this, expr.text, first, arguments);
    }
    case ExprKind::kTest: {
      const Arguments arguments = evaluate_arguments(expr);
      set_line(expr.line);
      return Value::boolean(apply_test(*this, expr.text, first, arguments));
    }
    default: {
      const Value second = evaluate(*expr.args[1]);
      set_line(expr.line);
      return apply_binary(*this, expr.operators[0], first, second);
    }
  }
}

Value Interpreter::evaluate_access(const Expr& expr) {
  const Value object = evaluate(*expr.args[0]);
  if (expr.kind == ExprKind::kAttribute) {
    set_line(expr.line);
    return attribute(*this, object, expr.text);
  }
  if (expr.kind == ExprKind::kItem) {
    const Value key = evaluate(*expr.args[1]);
    set_line(expr.line);
    return item(*this, object, key);
  }
  Value bounds[3];
  const Value* given[3] = {nullptr, nullptr, nullptr};
  for (size_t i = 0; i < 3; ++i) {
    if (expr.args[i + 1] == nullptr) continue;
    bounds[i] = evaluate(*expr.args[i + 1]);
    given[i] = &bounds[i];
  }
  set_line(expr.line);
  return slice(*this, object, given[0], given[1], given[2]);
}

Value Interpreter::evaluate_concat(const Expr& expr) {
  Text out;
  for (const ExprPtr& arg : expr.args) append_text(*this, out, evaluate(*arg));
  return string(std::move(out));
}

Value Interpreter::evaluate_compare(const Expr& expr) {
  Value left = evaluate(*expr.args[0]);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = evaluate(*expr.args[i + 1]);
    set_line(expr.line);
    if (!apply_compare(*this, expr.operators[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::evaluate_conditional(const Expr& expr) {
  if (evaluate(*expr.args[0]).truth()) return evaluate(*expr.args[1]);
  if (expr.args[2] != nullptr) return evaluate(*expr.args[2]);
  return undefined("the inline if-expression evaluated to false and no else section was defined.");
}

Value Interpreter::evaluate_dict(const Expr& expr) {
  List<std::pair<Value, Value>> entries;
  for (size_t i = 0; i + 1 < expr.args.size(); i += 2) {
    Value key = evaluate(*expr.args[i]);
    entries.emplace_back(std::move(key), evaluate(*expr.args[i + 1]));
  }
  set_line(expr.line);
  return dict(std::move(entries));
}

List<Value> Interpreter::evaluate_all(const std::vector<ExprPtr>& exprs, size_t from) {
  List<Value> values;
  values.reserve(exprs.size());
  for (size_t i = from; i < exprs.size(); ++i) values.push_back(evaluate(*exprs[i]));
  return values;
}

Arguments Interpreter::evaluate_arguments(const Expr& expr) {
  Arguments arguments;
  arguments.positional = evaluate_all(expr.args, 1);
  for (const auto& [name, value] : expr.named) arguments.named.emplace_back(name, evaluate(*value));
  return arguments;
}

Value Interpreter::evaluate_call(const Expr& expr, const Value* caller) {
  const Expr& callee_expr = *expr.args[0];
  Value callee;
  Value self;
  const bool on_attribute = callee_expr.kind == ExprKind::kAttribute;
  if (on_attribute) {
    self = evaluate(*callee_expr.args[0]);
    if (!has_method(self, callee_expr.text)) {
      set_line(callee_expr.line);
      callee = attribute(*this, self, callee_expr.text);
      self = Value();
    }
  } else {
    callee = evaluate(callee_expr);
  }
  Arguments arguments = evaluate_arguments(expr);
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  set_line(expr.line);
  // Methods are called without making a method value first.
  const bool is_method = on_attribute && !self.is_undefined();
  Value result = is_method ? call_method(*this, self, callee_expr.text, arguments)
                           : call(callee, std::move(arguments));
  set_line(expr.line);
  return result;
}

Value Interpreter::call(const Value& callee, Arguments arguments) {
  switch (callee.kind()) {
    case Kind::kMacro:
      return call_macro(callee.as<MacroObject>(), std::move(arguments));
    case Kind::kFunction:
      return callee.as<FunctionObject>().function(*this, arguments);
    case Kind::kMethod: {
      const auto& method = callee.as<MethodObject>();
      return call_method(*this, method.self, method.name, arguments);
    }
    case Kind::kJoiner: {
      bind(*this, "a joiner", arguments, {});
      auto& joiner = callee.as<JoinerObject>();
      if (joiner.used) return string(joiner.separator);
      joiner.used = true;
      return string("");
    }
    case Kind::kUndefined:
      fail_undefined(callee);
    default:
      fail(fmt::format("'{}' object is not callable", type_name(callee)));
  }
}

Value Interpreter::call_macro(const MacroObject& macro, Arguments arguments) {
  const DepthGuard guard(*this, depth_, limits().eval_depth);
  const std::shared_ptr<Scope> caller_scope = scope_;
  Text text;
  Text* const outer = out_;
  scope_ = make_metered<Scope>();
  scope_->parent = macro.scope;
  // Nothing to undo when this throws: an error ends the rendering.
  bind_macro(*macro.definition, arguments);
  out_ = &text;
  execute(macro.definition->body);
  out_ = outer;
  scope_ = caller_scope;
  return string(std::move(text));
}

void Interpreter::bind_parameter(const Macro& macro, size_t index, Arguments& arguments,
                                 std::vector<bool>& used) {
  const NameId id = macro.parameters[index].first;
  const std::string& name = macro.parameters[index].second;
  tick_compare(arguments.named.size() * (8 + name.size()));
  const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  const bool has_name = named != arguments.named.end();
  if (has_name) used[static_cast<size_t>(named - arguments.named.begin())] = true;
  if (index < arguments.positional.size()) {
    if (has_name) {
      fail(fmt::format("macro '{}' got multiple values for argument '{}'", macro.name, name));
    }
    set_variable(id, arguments.positional[index]);
  } else if (has_name) {
    set_variable(id, named->second);
  } else {
    const size_t without = macro.parameters.size() - macro.defaults.size();
    set_variable(id, index >= without
                         ? evaluate(*macro.defaults[index - without])
                         : undefined(fmt::format("parameter '{}' was not provided", name)));
  }
}

void Interpreter::bind_macro(const Macro& macro, Arguments& arguments) {
  std::vector<bool> used(arguments.named.size(), false);
  for (size_t i = 0; i < macro.parameters.size(); ++i) {
    bind_parameter(macro, i, arguments, used);
  }
  bind_surplus(macro, arguments, used);
}

// What the parameters did not take: `caller`, `kwargs` and `varargs`, if the body mentions them.
void Interpreter::bind_surplus(const Macro& macro, Arguments& arguments,
                               const std::vector<bool>& used) {
  List<std::pair<Value, Value>> extra;
  bool has_caller = false;
  for (size_t i = 0; i < arguments.named.size(); ++i) {
    const auto& [name, value] = arguments.named[i];
    if (used[i]) continue;
    if (name == "caller" && macro.uses_caller) {
      set_variable(program_.caller, value);
      has_caller = true;
    } else if (macro.uses_kwargs && name != "caller") {
      extra.emplace_back(string(Text(name)), value);
    } else {
      fail(fmt::format("macro '{}' takes no keyword argument '{}'", macro.name, name));
    }
  }
  if (macro.uses_caller && !has_caller) {
    set_variable(program_.caller, undefined("No caller defined"));
  }
  if (macro.uses_kwargs) set_variable(program_.kwargs, dict(std::move(extra)));
  const size_t taken = std::min(arguments.positional.size(), macro.parameters.size());
  if (macro.uses_varargs) {
    const auto first = arguments.positional.begin() + static_cast<std::ptrdiff_t>(taken);
    set_variable(program_.varargs, tuple(List<Value>(first, arguments.positional.end())));
  } else if (taken < arguments.positional.size()) {
    fail(fmt::format("macro '{}' takes not more than {} argument(s)", macro.name,
                     macro.parameters.size()));
  }
}

}  // namespace gallop::text::jinja
