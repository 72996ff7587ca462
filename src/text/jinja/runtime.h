// What one rendering may use: its limits, and the only way to make new values. Everything that
// takes time or memory passes through here; a breach throws TemplateError, which does not leave
// this folder (template.h turns it into a Result).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace gallop::text::jinja {

struct Limits {
  int64_t time_ms = 3000;
  int64_t work = INT64_MAX;       // units of tick(); for tests that must not depend on a clock
  size_t text_bytes = 64u << 20;  // the output and each string on the way
  size_t live_bytes = size_t{1} << 30;  // all values that are alive
  int32_t eval_depth = 1500;            // nested evaluations, macro calls included
  int32_t value_depth = 200;            // lists within lists
};

// An error of the template or its data. `line` 0: not known yet.
struct TemplateError {
  std::string message;
  int line = 0;
};

class Runtime {
 public:
  explicit Runtime(const Limits& limits);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  virtual ~Runtime() = default;

  [[noreturn]] void fail(std::string message) const;

  // Accounts for `units` of work (about a value touched, or 32 bytes copied) and, every so often,
  // looks at the clock.
  void tick(size_t units = 1);
  // Before a string of `bytes` is made.
  void reserve_text(size_t bytes);

  Value string(std::string text, bool safe = false);
  Value list(std::vector<Value> items);
  Value tuple(std::vector<Value> items);
  Value view(const char* name, std::vector<Value> items);
  Value generator(std::vector<Value> items);
  Value cycler(std::vector<Value> items);
  Value undefined(std::string message);
  // Later entries replace the value of equal earlier ones.
  Value dict(std::vector<std::pair<Value, Value>> entries);
  Value name_space(std::vector<std::pair<std::string, Value>> attributes);

  // Books an object that is made elsewhere.
  void charge(Object& object, size_t bytes);

  int line() const { return line_; }
  void set_line(int line) { line_ = line; }
  const Limits& limits() const { return limits_; }

 protected:
  // Breaks the cycles that namespaces may form; call it before the meter dies.
  void clear_namespaces();

 private:
  Value sequence(Kind kind, std::vector<Value> items, const char* view_name);
  int32_t checked_depth(int32_t children) const;

  const Limits limits_;
  const std::chrono::steady_clock::time_point start_;
  MemoryMeter meter_;
  int64_t work_ = 0;
  int64_t next_check_ = 0;
  int line_ = 0;
  std::vector<std::shared_ptr<NamespaceObject>> namespaces_;
};

// A frame of some recursion; fails beyond the limit. Each walk counts its own depth.
class DepthGuard {
 public:
  DepthGuard(const Runtime& runtime, int32_t& depth, int32_t limit) : depth_(depth) {
    if (depth_ >= limit) runtime.fail("nested too deeply");
    ++depth_;
  }
  ~DepthGuard() { --depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  int32_t& depth_;
};

// Binds the arguments of filter, test or function `what` to parameter names, as Python does: an
// unknown name, a doubled one or one too many fails. Absent: nullopt.
std::vector<std::optional<Value>> bind(const Runtime& runtime, std::string_view what,
                                       const Arguments& arguments,
                                       std::initializer_list<std::string_view> names);

}  // namespace gallop::text::jinja
