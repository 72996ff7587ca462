// Programmer errors: CHECK is always on, prints both values and aborts. Bad input from outside is
// never a CHECK; it is a Result (base/result.h).
#pragma once

#include <sstream>
#include <string>

namespace gallop {

// Prints `file:line: CHECK failed: message` on stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const std::string& message);

template <typename A, typename B>
std::string check_message(const char* text, const A& left, const B& right) {
  std::ostringstream out;
  out << text << " (" << left << " vs " << right << ")";
  return out.str();
}

}  // namespace gallop

#define CHECK(condition)                                      \
  do {                                                        \
    if (!(condition)) [[unlikely]] {                          \
      ::gallop::check_failed(__FILE__, __LINE__, #condition); \
    }                                                         \
  } while (false)

#define CHECK_OP(op, left, right)                                                             \
  do {                                                                                        \
    if (!((left)op(right))) [[unlikely]] {                                                    \
      ::gallop::check_failed(__FILE__, __LINE__,                                              \
                             ::gallop::check_message(#left " " #op " " #right, left, right)); \
    }                                                                                         \
  } while (false)

#define CHECK_EQ(left, right) CHECK_OP(==, left, right)
#define CHECK_NE(left, right) CHECK_OP(!=, left, right)
#define CHECK_LT(left, right) CHECK_OP(<, left, right)
#define CHECK_LE(left, right) CHECK_OP(<=, left, right)
#define CHECK_GT(left, right) CHECK_OP(>, left, right)
#define CHECK_GE(left, right) CHECK_OP(>=, left, right)
