// Python's methods of str, looked up by name.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {

// True for every method that Python's str has and a template may reach.
bool is_string_method(std::string_view name);
Value call_string_method(Runtime& runtime, const Value& self, std::string_view name,
                         const Arguments& arguments);

// str.lower and its like.
Value map_text(Runtime& runtime, const Value& text, CaseMapping mapping);

// str.replace; a negative count replaces all.
Value replace_text(Runtime& runtime, const Value& text, std::string_view old_text,
                   std::string_view new_text, int64_t count);

// The byte offset of `part` at or after `from`, or npos; linear time.
size_t find_text(std::string_view text, std::string_view part, size_t from = 0);

}  // namespace gallop::text::jinja
