#include "text/jinja/interpreter.h"

#include <algorithm>

#include <fmt/format.h>

#include "text/jinja/operators.h"
#include "text/jinja/printing.h"

namespace gallop::text::jinja {

// A scope inside the current one (or inside `parent`), until the guard dies.
class Interpreter::ScopeGuard {
 public:
  explicit ScopeGuard(Interpreter& interpreter) : ScopeGuard(interpreter, interpreter.scope_) {}
  ScopeGuard(Interpreter& interpreter, std::shared_ptr<Scope> parent)
      : interpreter_(interpreter), saved_(interpreter.scope_) {
    interpreter.scope_ = make_metered<Scope>();
    interpreter.scope_->parent = std::move(parent);
  }
  ~ScopeGuard() { interpreter_.scope_ = std::move(saved_); }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  Interpreter& interpreter_;
  std::shared_ptr<Scope> saved_;
};

// What is printed goes to text() until the guard dies.
class Interpreter::OutputGuard {
 public:
  explicit OutputGuard(Interpreter& interpreter)
      : interpreter_(interpreter), saved_(interpreter.out_) {
    interpreter.out_ = &text_;
  }
  ~OutputGuard() { interpreter_.out_ = saved_; }
  OutputGuard(const OutputGuard&) = delete;
  OutputGuard& operator=(const OutputGuard&) = delete;

  Text& text() { return text_; }

 private:
  Interpreter& interpreter_;
  Text* saved_;
  Text text_;
};

Value* Scope::find_here(NameId name) {
  for (auto& [known, value] : variables) {
    if (known == name) return &value;
  }
  return nullptr;
}

void Scope::set(NameId name, Value value) {
  if (Value* const known = find_here(name)) {
    *known = std::move(value);
  } else {
    variables.emplace_back(name, std::move(value));
  }
}

Interpreter::Interpreter(const Program& program, const Limits& limits)
    : Runtime(limits),
      program_(program),
      context_(program.names.size()),
      in_context_(program.names.size(), false),
      scope_(make_metered<Scope>()) {
  for (size_t id = 0; id < program.names.size(); ++id) {
    const char* name = nullptr;
    const NativeFunction function = find_global(program.names[id], &name);
    if (function == nullptr) continue;
    auto object = make_metered<FunctionObject>();
    object->name = name;
    object->function = function;
    context_[id] = Value(Kind::kFunction, std::move(object));
    in_context_[id] = true;
  }
}

Interpreter::~Interpreter() {
  for (const auto& scope : captured_) scope->variables.clear();
  clear_namespaces();
  captured_.clear();
  scope_.reset();
  context_.clear();
}

void Interpreter::define(const std::string& name, Value value) {
  tick_compare(program_.names.size() * (8 + name.size()));
  const auto found = std::find(program_.names.begin(), program_.names.end(), name);
  if (found == program_.names.end()) return;
  const auto id = static_cast<size_t>(found - program_.names.begin());
  context_[id] = std::move(value);
  in_context_[id] = true;
}

std::string Interpreter::run() {
  OutputGuard output(*this);
  execute(program_.body);
  return std::string(output.text());
}

Interpreter::Flow Interpreter::execute(const Block& block) {
  const DepthGuard guard(*this, depth_, limits().eval_depth);
  for (const auto& statement : block) {
    const Flow flow = execute(*statement);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const Statement& statement) {
  tick();
  set_line(statement.line);
  switch (statement.kind) {
    case StatementKind::kData:
      write(statement.text);
      break;
    case StatementKind::kPrint:
      print(evaluate(*statement.value));
      break;
    case StatementKind::kIf:
      return execute_if(statement);
    case StatementKind::kFor:
      return execute_for(statement);
    case StatementKind::kSet:
      assign(statement.target, evaluate(*statement.value));
      break;
    case StatementKind::kSetBlock:
      execute_set_block(statement);
      break;
    case StatementKind::kFilterBlock:
      execute_filter_block(statement);
      break;
    case StatementKind::kMacro:
      set_variable(statement.macro->name_id, make_macro(*statement.macro));
      break;
    case StatementKind::kCallBlock:
      execute_call_block(statement);
      break;
    case StatementKind::kWith:
      execute_with(statement);
      break;
    case StatementKind::kScope: {
      const ScopeGuard scope(*this);
      return execute(statement.blocks[0]);
    }
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute_if(const Statement& statement) {
  for (size_t branch = 0; branch < statement.values.size(); ++branch) {
    if (evaluate(*statement.values[branch]).truth()) return execute(statement.blocks[branch]);
  }
  if (statement.blocks.size() > statement.values.size()) return execute(statement.blocks.back());
  return Flow::kNext;
}

std::shared_ptr<const ListObject> Interpreter::filtered_items(const Statement& statement) {
  const auto source = iterate(*this, evaluate(*statement.value));
  if (statement.filter == nullptr) return source.list();
  List<Value> kept;
  for (const Value& item : source) {
    tick();
    const ScopeGuard scope(*this);
    assign(statement.target, item);
    if (evaluate(*statement.filter).truth()) kept.push_back(item);
  }
  return std::static_pointer_cast<const ListObject>(list(std::move(kept)).shared());
}

Interpreter::Flow Interpreter::execute_for(const Statement& statement) {
  const auto items = filtered_items(statement);
  if (!items->items.empty()) {
    return execute_for_body(statement, items);
  }
  const ScopeGuard scope(*this);
  return execute(statement.blocks[1]);
}

Interpreter::Flow Interpreter::execute_for_body(const Statement& statement,
                                                const std::shared_ptr<const ListObject>& items) {
  auto loop = make_metered<LoopObject>();
  loop->items = items;
  for (loop->index = 0; loop->index < items->items.size(); ++loop->index) {
    tick();
    const ScopeGuard scope(*this);
    set_variable(program_.loop, Value(Kind::kLoop, loop));
    assign(statement.target, items->items[loop->index]);
    if (execute(statement.blocks[0]) == Flow::kBreak) break;
  }
  return Flow::kNext;
}

Text Interpreter::render_block(const Block& block) {
  const ScopeGuard scope(*this);
  OutputGuard output(*this);
  execute(block);
  return std::move(output.text());
}

Value Interpreter::filtered_block(const Statement& statement) {
  const Value input = string(render_block(statement.blocks[0]));
  const Value* const outer = std::exchange(block_input_, &input);
  Value result = evaluate(*statement.value);
  block_input_ = outer;
  return result;
}

void Interpreter::execute_set_block(const Statement& statement) {
  assign(statement.target, filtered_block(statement));
}

void Interpreter::execute_filter_block(const Statement& statement) {
  print(filtered_block(statement));
}

void Interpreter::execute_call_block(const Statement& statement) {
  const Value caller = make_macro(*statement.macro);
  print(evaluate_call(*statement.value, &caller));
}

void Interpreter::execute_with(const Statement& statement) {
  List<Value> values = evaluate_all(statement.values, 0);
  const ScopeGuard scope(*this);
  for (size_t i = 0; i < values.size(); ++i) assign(statement.targets[i], values[i]);
  execute(statement.blocks[0]);
}

void Interpreter::assign_attribute(const Target& target, const Value& value) {
  const Value object = lookup(target.name);
  if (!object.is(Kind::kNamespace)) {
    fail(fmt::format("cannot assign attribute '{}' on a value that is no namespace object",
                     target.attribute));
  }
  if (target.attribute.starts_with("_")) {
    fail(fmt::format("a namespace can not hold the underscore-prefixed '{}'", target.attribute));
  }
  auto& space = object.as<NamespaceObject>();
  tick_compare(space.attributes.size() * (8 + target.attribute.size()));
  if (Value* const known = space.find(target.attribute)) {
    *known = value;
  } else {
    space.attributes.emplace_back(Text(target.attribute), value);
  }
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (!target.attribute.empty()) {
    assign_attribute(target, value);
    return;
  }
  if (!target.is_tuple) {
    set_variable(target.name, value);
    return;
  }
  const auto source = iterate(*this, value);
  const size_t expected = target.items.size();
  if (source.all().size() != expected) {
    fail(fmt::format("{} values to unpack: expected {}, found {}",
                     source.all().size() < expected ? "not enough" : "too many", expected,
                     source.all().size()));
  }
  for (size_t i = 0; i < expected; ++i) assign(target.items[i], source.all()[i]);
}

void Interpreter::write(std::string_view text) {
  tick_compare(text.size());
  *out_ += text;
}

void Interpreter::print(const Value& value) {
  if (value.is_string()) {
    write(value.text());
  } else {
    write(to_text(*this, value));
  }
}

Value Interpreter::make_macro(const Macro& macro) {
  auto object = make_metered<MacroObject>();
  object->definition = &macro;
  object->scope = scope_;
  if (captured_.empty() || captured_.back() != scope_) captured_.push_back(scope_);
  return Value(Kind::kMacro, std::move(object));
}

}  // namespace gallop::text::jinja
