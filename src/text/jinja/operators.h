// Python's operators on values, and Jinja's rules for attributes, items and iteration.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace gallop::text::jinja {

// Arithmetic: kAdd to kPower.
Value apply_binary(Runtime& runtime, Operator op, const Value& left, const Value& right);
Value negate(Runtime& runtime, const Value& value);

// & < > ' " as markupsafe writes them.
Text escape_html(std::string_view text);

bool equal(Runtime& runtime, const Value& left, const Value& right);
bool less_than(Runtime& runtime, const Value& left, const Value& right);
bool contains(Runtime& runtime, const Value& container, const Value& item);
// kEqual to kNotIn.
bool apply_compare(Runtime& runtime, Operator op, const Value& left, const Value& right);

// `value.name`: a method of the type, then an item, then undefined.
Value attribute(Runtime& runtime, const Value& value, std::string_view name);
// `value[key]`: an item, then an attribute, then undefined.
Value item(Runtime& runtime, const Value& value, const Value& key);
// The bounds may be null or none.
Value slice(Runtime& runtime, const Value& value, const Value* begin, const Value* end,
            const Value* step);

// len(value); fails for what has no length.
int64_t length(Runtime& runtime, const Value& value);
bool is_iterable(const Value& value);
// What a for loop over the value visits; uses a generator up. Fails for what can not be walked.
// The result owns the items: `for (const Value& item : iterate(...))` is safe.
class Items {
 public:
  explicit Items(std::shared_ptr<const ListObject> list) : list_(std::move(list)) {}

  auto begin() const { return list_->items.begin(); }
  auto end() const { return list_->items.end(); }
  const List<Value>& all() const& { return list_->items; }
  List<Value> all() const&& { return list_->items; }
  const std::shared_ptr<const ListObject>& list() const { return list_; }

 private:
  std::shared_ptr<const ListObject> list_;
};
Items iterate(Runtime& runtime, const Value& value);

// True for a method that would change the object: transformers' sandbox refuses those.
bool is_mutator(const Value& value, std::string_view name);
std::string unsafe_message(const Value& value, std::string_view name);
// True when Python's type of `value` has a method of this name (supported here or not).
bool has_method(const Value& value, std::string_view name);
Value call_method(Runtime& runtime, const Value& self, std::string_view name,
                  const Arguments& arguments);

}  // namespace gallop::text::jinja
