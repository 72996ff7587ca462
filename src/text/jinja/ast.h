// The parsed template. Trees are immutable and shared by all renderings; the parser bounds their
// depth, so every walk over them (and their destruction) may recurse.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace gallop::text::jinja {

using NameId = uint32_t;  // index into Program::names

enum class ExprKind : uint8_t {
  kConstant,    // constant
  kName,        // name
  kList,        // args
  kTuple,       // args
  kDict,        // args: key, value, key, value...
  kAttribute,   // args[0].text
  kItem,        // args[0][args[1]]
  kSlice,       // args[0][args[1]:args[2]:args[3]], the last three may be null
  kCall,        // args[0](args[1...], named)
  kFilter,      // args[0] | text(args[1...], named)
  kTest,        // args[0] is text(args[1...], named)
  kBlockInput,  // what a {% filter %} or {% set %} block has rendered
  kNot,
  kNegate,
  kPlus,
  kBinary,   // args[0] text args[1]
  kConcat,   // args joined by ~
  kCompare,  // args[0] operators[0] args[1] operators[1] args[2]...
  kAnd,
  kOr,
  kConditional,  // args[1] if args[0] else args[2] (may be null)
};

enum class Operator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  ExprKind kind = ExprKind::kConstant;
  int line = 0;
  int depth = 1;
  NameId name = 0;
  std::string text;
  Value constant;
  std::vector<ExprPtr> args;
  std::vector<std::pair<std::string, ExprPtr>> named;
  std::vector<Operator> operators;
};

// What an assignment or a for loop binds: a name, a namespace's attribute, or a tuple of targets.
struct Target {
  NameId name = 0;
  std::string attribute;  // not empty: name.attribute
  bool is_tuple = false;
  std::vector<Target> items;
};

struct Statement;
using Block = std::vector<std::unique_ptr<Statement>>;

// A macro, or the body of {% call %} as the macro `caller`.
struct Macro {
  std::string name;
  NameId name_id = 0;
  std::vector<std::pair<NameId, std::string>> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters
  Block body;
  // The body mentions these names, so a call may pass what the parameters do not take.
  bool uses_varargs = false;
  bool uses_kwargs = false;
  bool uses_caller = false;
};

enum class StatementKind : uint8_t {
  kData,         // text
  kPrint,        // value
  kIf,           // conditions and blocks in turn; blocks may hold one more: else
  kFor,          // target in value if filter: blocks[0], else blocks[1]
  kSet,          // target = value
  kSetBlock,     // target = filters in value over blocks[0]
  kFilterBlock,  // value over blocks[0]
  kMacro,        // macro
  kCallBlock,    // value is the call, macro is `caller`
  kWith,         // targets[i] = values[i] in a new scope of blocks[0]
  kScope,        // {% generation %}: blocks[0]
  kBreak,
  kContinue,
};

struct Statement {
  StatementKind kind = StatementKind::kData;
  int line = 0;
  std::string text;
  ExprPtr value;
  ExprPtr filter;
  Target target;
  std::vector<Target> targets;
  std::vector<ExprPtr> values;
  std::vector<Block> blocks;
  std::unique_ptr<Macro> macro;
};

struct Program {
  Block body;
  std::vector<std::string> names;  // of all variables, by NameId
  // Names that the interpreter itself binds.
  NameId loop = 0, caller = 0, kwargs = 0, varargs = 0;
};

}  // namespace gallop::text::jinja
