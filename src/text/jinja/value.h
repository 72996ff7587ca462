// The values a template computes with: immutable data shared by pointer, as in Python.
// Containers know their nesting depth, which Runtime bounds when it makes them, so that no walk and
// no destructor can recurse further than that. Only namespaces, loops and generators change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/metered.h"

namespace gallop::text::jinja {

struct Macro;  // the statement that defines it (ast.h)
struct Scope;  // variables (interpreter.h)
class Runtime;
struct Arguments;

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kBigInt,  // an integer of the data beyond int64: can be passed on and printed, not computed with
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kView,       // dict.keys(), values(), items()
  kRange,      // range(...)
  kGenerator,  // what select, map, items, reverse... give: can be walked once
  kNamespace,
  kLoop,
  kMacro,
  kFunction,  // a global function
  kMethod,    // x.split, not yet called
  kCycler,
  kJoiner,
};

struct Object {
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;
};

class Value {
 public:
  Value() = default;  // undefined without a name
  Value(Kind kind, std::shared_ptr<Object> object) : kind_(kind), object_(std::move(object)) {}

  static Value none() { return Value(Kind::kNone); }
  static Value boolean(bool value) {
    Value result(Kind::kBool);
    result.integer_ = value ? 1 : 0;
    return result;
  }
  static Value integer(int64_t value) {
    Value result(Kind::kInt);
    result.integer_ = value;
    return result;
  }
  static Value real(double value) {
    Value result(Kind::kFloat);
    result.real_ = value;
    return result;
  }
  static Value constant_string(std::string_view text);
  static Value big_integer(uint64_t value);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_integral() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  bool is_number() const { return is_integral() || kind_ == Kind::kFloat; }
  bool is_sequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }
  bool is_callable() const {
    return kind_ == Kind::kMacro || kind_ == Kind::kFunction || kind_ == Kind::kMethod ||
           kind_ == Kind::kJoiner;
  }

  int64_t as_int() const { return integer_; }  // kInt, kBool
  double as_float() const {                    // any number
    return kind_ == Kind::kFloat ? real_ : static_cast<double>(integer_);
  }
  const Text& text() const;          // kString
  const Text& digits() const;        // kBigInt
  bool is_safe() const;              // kString made by the filter `safe`
  const List<Value>& items() const;  // kList, kTuple, kView
  template <typename T>
  T& as() const {
    return static_cast<T&>(*object_);
  }
  const Object* object() const { return object_.get(); }
  const std::shared_ptr<Object>& shared() const { return object_; }

  // Python's truth: empty things, zero, none and undefined are false.
  bool truth() const;

 private:
  explicit Value(Kind kind) : kind_(kind) {}

  Kind kind_ = Kind::kUndefined;
  union {
    int64_t integer_ = 0;
    double real_;
  };
  std::shared_ptr<Object> object_;
};

struct UndefinedObject : Object {
  Text message;  // "'x' is undefined"
};

struct StringObject : Object {
  Text text;
  bool safe = false;   // Markup
  bool ascii = false;  // one byte per character
};

struct ListObject : Object {
  List<Value> items;
  int32_t depth = 1;
  const char* view_name = nullptr;  // kView: "dict_items"
};

struct DictObject : Object {
  List<std::pair<Value, Value>> entries;  // insertion order
  int32_t depth = 1;

  // Null when absent. `key` is hash_key(...) of the wanted key.
  const Value* find(const Text& key) const;
  const Value* find_text(std::string_view text) const;
  // Adds the entry, or replaces the value of the one with this hash_key(...).
  void set(Text hash, Value key, Value value);

 private:
  size_t position(const Text& key) const;  // among the entries; their number when absent

  // hash_key > entry, of larger dicts. A tree: the template chooses the keys, and could choose
  // ones that collide.
  std::map<Text, size_t, std::less<>, Metered<std::pair<const Text, size_t>>> index_;
};

struct RangeObject : Object {
  int64_t start = 0, stop = 0, step = 1;
  int64_t size() const;
};

struct GeneratorObject : Object {
  List<Value> items;
  int32_t depth = 1;
  bool used = false;
};

struct NamespaceObject : Object {
  List<std::pair<Text, Value>> attributes;

  Value* find(std::string_view name);
};

struct LoopObject : Object {
  std::shared_ptr<const ListObject> items;
  size_t index = 0;
  Text changed;  // the last arguments of loop.changed(), as text
  bool has_changed = false;
};

struct MacroObject : Object {
  const Macro* definition = nullptr;  // the template outlives its renderings
  std::shared_ptr<Scope> scope;       // where it was defined
};

using NativeFunction = Value (*)(Runtime&, const Arguments&);
struct FunctionObject : Object {
  const char* name = "";
  NativeFunction function = nullptr;
};

struct MethodObject : Object {
  Value self;
  Text name;
};

struct CyclerObject : Object {
  List<Value> items;
  int32_t depth = 1;
  size_t position = 0;
};

struct JoinerObject : Object {
  Text separator;
  bool used = false;
};

// Positional and named arguments of a call. The names are the template's.
struct Arguments {
  List<Value> positional;
  List<std::pair<std::string_view, Value>> named;
};

// "str", "int", "dict"...: Python's name of the type, for messages.
const char* type_name(const Value& value);

// A string that is equal for keys that Python holds equal (1, 1.0 and true are). False when the
// value can not be a key.
bool hash_key(const Value& value, Text& out);

// Equal in the sense of Python's `is`.
bool same_object(Runtime& runtime, const Value& left, const Value& right);

}  // namespace gallop::text::jinja
