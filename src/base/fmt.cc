// fmt, compiled once for the whole program. In its header-only form every file that formats would
// compile it again, at five seconds each; Debian's shared library would tie the program to one
// SONAME.
#include <fmt/format-inl.h>

namespace fmt::detail {

// The templates that fmt/format.h declares to be compiled elsewhere.
template auto thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template auto decimal_point_impl<char>(locale_ref) -> char;

}  // namespace fmt::detail
