// Jinja's filters and tests by name.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace gallop::text::jinja {

using Filter = Value (*)(Runtime&, const Value& input, const Arguments&);
using Test = bool (*)(Runtime&, const Value& input, const Arguments&);

// Null when there is none of this name. find_filter looks in all three families below.
Filter find_filter(std::string_view name);
Filter find_text_filter(std::string_view name);
Filter find_sequence_filter(std::string_view name);
Filter find_selection_filter(std::string_view name);
Test find_test(std::string_view name);

// Fails when there is none of this name.
Value apply_filter(Runtime& runtime, std::string_view name, const Value& input,
                   const Arguments& arguments);
bool apply_test(Runtime& runtime, std::string_view name, const Value& input,
                const Arguments& arguments);

// The value at a dotted path ("function.name", "0.role") of an item, by subscription.
Value attribute_path(Runtime& runtime, const Value& item, const Value& path);

}  // namespace gallop::text::jinja
