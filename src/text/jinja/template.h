// The interpreter's outside: parse a template once, render it many times, from any thread.
// Errors are Results whose message names the template's line.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "text/jinja/runtime.h"

namespace gallop::text::jinja {

struct Program;

// The largest known templates are below 100 KB. A tree may need 240 times its source.
inline constexpr size_t kMaxSourceBytes = 512u << 10;

class Template {
 public:
  // A name and its value; later ones win.
  using Variables = std::vector<std::pair<std::string, const Json*>>;

  static Result<Template> parse(std::string_view source);

  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

  // JSON null becomes none.
  Result<std::string> render(const Variables& variables, const Limits& limits = {}) const;

 private:
  explicit Template(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace gallop::text::jinja
