#include "text/jinja/template.h"

#include <cstdint>
#include <limits>

#include <fmt/format.h>

#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"

namespace gallop::text::jinja {
namespace {

Error to_error(const TemplateError& error) {
  if (error.line == 0) return Error{fmt::format("chat template: {}", error.message)};
  return Error{fmt::format("chat template, line {}: {}", error.line, error.message)};
}

Value from_json(Runtime& runtime, const Json& json, int32_t depth) {
  if (depth > runtime.limits().value_depth) runtime.fail("the data is nested too deeply");
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case Json::value_t::number_integer:
      return Value::integer(json.get<int64_t>());
    case Json::value_t::number_unsigned: {
      const auto value = json.get<uint64_t>();
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        return Value::big_integer(value);
      }
      return Value::integer(static_cast<int64_t>(value));
    }
    case Json::value_t::number_float:
      return Value::real(json.get<double>());
    case Json::value_t::string:
      return runtime.string(Text(json.get_ref<const std::string&>()));
    case Json::value_t::array: {
      List<Value> items;
      items.reserve(json.size());
      for (const Json& element : json) items.push_back(from_json(runtime, element, depth + 1));
      return runtime.list(std::move(items));
    }
    case Json::value_t::object: {
      List<std::pair<Value, Value>> entries;
      entries.reserve(json.size());
      for (const auto& [key, element] : json.items()) {
        entries.emplace_back(runtime.string(Text(key)), from_json(runtime, element, depth + 1));
      }
      return runtime.dict(std::move(entries));
    }
    default:
      return Value::none();
  }
}

}  // namespace

Template::Template(std::unique_ptr<Program> program) : program_(std::move(program)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Result<Template> Template::parse(std::string_view source) {
  if (source.size() > kMaxSourceBytes) {
    return Error{fmt::format("the chat template has {} bytes, the limit is {}", source.size(),
                             kMaxSourceBytes)};
  }
  try {
    return Template(std::make_unique<Program>(parse_program(source)));
  } catch (const TemplateError& error) {
    return to_error(error);
  }
}

Result<std::string> Template::render(const Variables& variables, const Limits& limits) const {
  try {
    Interpreter interpreter(*program_, limits);
    for (const auto& [name, json] : variables) {
      interpreter.define(name, from_json(interpreter, *json, 0));
    }
    return interpreter.run();
  } catch (const TemplateError& error) {
    return to_error(error);
  } catch (const std::bad_alloc&) {
    return Error{"chat template: out of memory", ErrorCode::kInternal};
  }
}

}  // namespace gallop::text::jinja
