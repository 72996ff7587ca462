// What one rendering may use: its limits, and the only way to make new values. Memory is counted by
// the containers (metered.h), time by tick(): allocations call it, and so does whatever goes
// through much of a value without one. A breach throws TemplateError, which does not leave this
// folder (template.h turns it into a Result).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/metered.h"
#include "text/jinja/value.h"

namespace gallop::text::jinja {

struct Limits {
  int64_t time_ms = 3000;
  int64_t work = INT64_MAX;         // units of tick(); for tests that must not depend on a clock
  size_t memory_bytes = 64u << 20;  // of all values, variables, open texts and the output
  int32_t eval_depth = 1500;        // nested evaluations, macro calls included
  int32_t value_depth = 200;        // lists within lists
};

// An error of the template or its data. `line` 0: not known yet.
struct TemplateError {
  std::string message;
  int line = 0;
};

// While one exists, it pays for the metered containers of its thread.
class Runtime {
 public:
  explicit Runtime(const Limits& limits);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  virtual ~Runtime();

  [[noreturn]] void fail(std::string message) const;
  // Where an undefined value is used.
  [[noreturn]] void fail_undefined(const Value& value) const;

  // Accounts for `units` of work, each about 25 ns (a value touched, 8 characters looked at, 64
  // bytes copied or compared), or more, and, every so often, looks at the clock.
  void tick(size_t units = 1) {
    work_ += static_cast<int64_t>(units);
    if (work_ >= next_check_) check_time();
  }
  // Before all the characters of `text` are looked at.
  void tick_scan(std::string_view text) { tick(1 + text.size() / 8); }
  // Before `bytes` are compared.
  void tick_compare(size_t bytes) { tick(1 + bytes / 64); }
  // Fails where `bytes` more do not fit: before a large value whose size is known is made.
  void check_memory(size_t bytes) const;

  Value string(Text text, bool safe = false);
  Value list(List<Value> items);
  Value tuple(List<Value> items);
  Value view(const char* name, List<Value> items);
  Value generator(List<Value> items);
  Value cycler(List<Value> items);
  Value undefined(std::string_view message);
  // Later entries replace the value of equal earlier ones.
  Value dict(List<std::pair<Value, Value>> entries);
  Value name_space(List<std::pair<Text, Value>> attributes);

  int line() const { return line_; }
  void set_line(int line) { line_ = line; }
  const Limits& limits() const { return limits_; }

 protected:
  // Breaks the cycles that namespaces may form; call it before the runtime dies.
  void clear_namespaces();

 private:
  friend void pay_memory(size_t bytes);
  friend void return_memory(size_t bytes) noexcept;

  Value sequence(Kind kind, List<Value> items, const char* view_name);
  int32_t checked_depth(int32_t children) const;
  void check_time();

  const Limits limits_;
  const std::chrono::steady_clock::time_point start_;
  size_t live_bytes_ = 0;
  int64_t work_ = 0;
  int64_t next_check_ = 0;
  int line_ = 0;
  List<std::shared_ptr<NamespaceObject>> namespaces_;
};

// The beginning of a text of the data, for a message.
std::string_view excerpt(std::string_view text);

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
// unknown name, a doubled one or one too many fails. Absent: nullopt. A handful, not metered.
std::vector<std::optional<Value>> bind(const Runtime& runtime, std::string_view what,
                                       const Arguments& arguments,
                                       std::initializer_list<std::string_view> names);

}  // namespace gallop::text::jinja
