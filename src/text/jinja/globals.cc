// The functions every template can call.
#include <array>
#include <ctime>

#include <fmt/format.h>

#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // as Jinja's sandbox

Value make_range(Runtime& runtime, const Arguments& arguments) {
  const auto& given = arguments.positional;
  if (given.empty() || given.size() > 3 || !arguments.named.empty()) {
    runtime.fail("range takes 1 to 3 integers");
  }
  for (const Value& value : given) {
    if (!value.is_integral()) {
      runtime.fail(
          fmt::format("range: '{}' can not be interpreted as an integer", type_name(value)));
    }
  }
  auto range = make_metered<RangeObject>();
  range->start = given.size() > 1 ? given[0].as_int() : 0;
  range->stop = given.size() > 1 ? given[1].as_int() : given[0].as_int();
  range->step = given.size() > 2 ? given[2].as_int() : 1;
  if (range->step == 0) runtime.fail("range() arg 3 must not be zero");
  if (range->size() > kMaxRange || range->size() < 0) {
    runtime.fail(fmt::format("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).",
                             kMaxRange));
  }
  return Value(Kind::kRange, std::move(range));
}

Value make_dict(Runtime& runtime, const Arguments& arguments) {
  List<std::pair<Value, Value>> entries;
  if (arguments.positional.size() > 1) runtime.fail("dict takes at most one argument");
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.is(Kind::kDict)) {
      entries = source.as<DictObject>().entries;
    } else {
      for (const Value& pair : iterate(runtime, source)) {
        const auto items = iterate(runtime, pair);
        if (items.all().size() != 2) runtime.fail("dict needs pairs of key and value");
        entries.emplace_back(items.all()[0], items.all()[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) {
    entries.emplace_back(runtime.string(Text(name)), value);
  }
  return runtime.dict(std::move(entries));
}

Value make_namespace(Runtime& runtime, const Arguments& arguments) {
  const Value source = make_dict(runtime, arguments);
  List<std::pair<Text, Value>> attributes;
  for (const auto& [key, value] : source.as<DictObject>().entries) {
    if (!key.is_string() || key.text().starts_with("_")) {
      runtime.fail("a namespace's attributes are names without a leading underscore");
    }
    attributes.emplace_back(key.text(), value);
  }
  return runtime.name_space(std::move(attributes));
}

Value make_cycler(Runtime& runtime, const Arguments& arguments) {
  if (arguments.positional.empty() || !arguments.named.empty()) {
    runtime.fail("at least one item has to be provided");
  }
  return runtime.cycler(arguments.positional);
}

Value make_joiner(Runtime& runtime, const Arguments& arguments) {
  const auto bound = bind(runtime, "joiner", arguments, {"sep"});
  auto joiner = make_metered<JoinerObject>();
  joiner->separator = bound[0].has_value() ? to_text(runtime, *bound[0]) : ", ";
  return Value(Kind::kJoiner, std::move(joiner));
}

Value raise_exception(Runtime& runtime, const Arguments& arguments) {
  const auto bound = bind(runtime, "raise_exception", arguments, {"message"});
  if (!bound[0].has_value()) runtime.fail("the template raised an error");
  runtime.fail(std::string(excerpt(to_text(runtime, *bound[0]))));
}

Value strftime_now(Runtime& runtime, const Arguments& arguments) {
  const auto bound = bind(runtime, "strftime_now", arguments, {"format"});
  if (!bound[0].has_value() || !bound[0]->is_string()) {
    runtime.fail("strftime_now needs a format");
  }
  const Text& format = bound[0]->text();
  if (format.empty()) return *bound[0];
  if (format.size() > 256) runtime.fail("strftime_now: the format is too long");
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  constexpr size_t kMostBytes = 4095;
  std::array<char, kMostBytes + 2> buffer{};
  // The space in front tells a date that is empty, as "%Z" may be, from one that does not fit.
  const Text padded = " " + format;
  const size_t size = std::strftime(buffer.data(), buffer.size(), padded.c_str(), &local);
  if (size == 0) {
    runtime.fail(fmt::format("strftime_now: the date is longer than {} bytes", kMostBytes));
  }
  Text text(buffer.data() + 1, size - 1);
  if (!is_valid_utf8(text)) runtime.fail("strftime_now: the date is not valid UTF-8");
  return runtime.string(std::move(text));
}

struct Global {
  const char* name;
  NativeFunction function;
};

constexpr std::array<Global, 7> kGlobals = {{{"range", make_range},
                                             {"dict", make_dict},
                                             {"namespace", make_namespace},
                                             {"cycler", make_cycler},
                                             {"joiner", make_joiner},
                                             {"raise_exception", raise_exception},
                                             {"strftime_now", strftime_now}}};

}  // namespace

NativeFunction find_global(const std::string& name, const char** stored_name) {
  for (const Global& global : kGlobals) {
    if (name != global.name) continue;
    *stored_name = global.name;
    return global.function;
  }
  return nullptr;
}

}  // namespace gallop::text::jinja
