// Filters on lists and dicts.
#include <algorithm>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/string_methods.h"
#include "text/unicode_str.h"

namespace gallop::text::jinja {
namespace {

using Optional = std::optional<Value>;

bool flag(const Optional& value, bool absent) {
  return value.has_value() ? value->truth() : absent;
}

Value filter_length(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "length", arguments, {});
  return Value::integer(length(runtime, input));
}

Value filter_list(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "list", arguments, {});
  if (input.is(Kind::kList)) return input;
  return runtime.list(iterate(runtime, input).all());
}

Value filter_first(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "first", arguments, {});
  const auto source = iterate(runtime, input);
  if (source.all().empty()) return runtime.undefined("No first item, sequence was empty.");
  return source.all().front();
}

Value filter_last(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "last", arguments, {});
  if (input.is(Kind::kGenerator)) runtime.fail("'generator' object is not reversible");
  const auto source = iterate(runtime, input);
  if (source.all().empty()) return runtime.undefined("No last item, sequence was empty.");
  return source.all().back();
}

Value filter_items(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "items", arguments, {});
  if (input.is_undefined()) return runtime.generator({});
  if (!input.is(Kind::kDict)) runtime.fail("Can only get item pairs from a mapping.");
  return runtime.generator(call_method(runtime, input, "items", {}).items());
}

Value filter_join(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "join", arguments, {"d", "attribute"});
  const Text separator = bound[0].has_value() ? to_text(runtime, *bound[0]) : "";
  const bool has_attribute = bound[1].has_value() && !bound[1]->is(Kind::kNone);
  Text out;
  bool first = true;
  for (const Value& item : iterate(runtime, input)) {
    runtime.tick_compare(separator.size());
    if (!first) out += separator;
    first = false;
    append_text(runtime, out, has_attribute ? attribute_path(runtime, item, *bound[1]) : item);
  }
  return runtime.string(std::move(out));
}

Value filter_reverse(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(runtime, "reverse", arguments, {});
  if (input.is_string()) {
    const Value step = Value::integer(-1);
    return slice(runtime, input, nullptr, nullptr, &step);
  }
  List<Value> items = iterate(runtime, input).all();
  std::reverse(items.begin(), items.end());
  return runtime.generator(std::move(items));
}

// What sorting, unique, min and max compare: the attribute, lower case unless case counts.
Value sort_key(Runtime& runtime, const Value& item, const Optional& attribute, bool case_counts) {
  Value key = attribute.has_value() && !attribute->is(Kind::kNone)
                  ? attribute_path(runtime, item, *attribute)
                  : item;
  if (!case_counts && key.is_string()) return map_text(runtime, key, CaseMapping::kLower);
  return key;
}

// Sorts by several comma-separated attributes, as Jinja does, through tuples.
Value sort_keys(Runtime& runtime, const Value& item, const Optional& attribute, bool case_counts) {
  if (!attribute.has_value() || !attribute->is_string() ||
      attribute->text().find(',') == Text::npos) {
    return sort_key(runtime, item, attribute, case_counts);
  }
  List<Value> keys;
  const Text& text = attribute->text();
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    keys.push_back(
        sort_key(runtime, item, runtime.string(text.substr(begin, end - begin)), case_counts));
    begin = end + 1;
  }
  return runtime.tuple(std::move(keys));
}

using Keyed = std::pair<Value, Value>;  // key, item

// The sort's own buffer is not metered, but no larger than the entries.
void stable_sort(Runtime& runtime, List<Keyed>& entries, bool reverse) {
  // A reversed stable sort keeps equal items in their order, as Python's does.
  std::stable_sort(entries.begin(), entries.end(), [&](const Keyed& left, const Keyed& right) {
    return reverse ? less_than(runtime, right.first, left.first)
                   : less_than(runtime, left.first, right.first);
  });
}

Value filter_sort(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "sort", arguments, {"reverse", "case_sensitive", "attribute"});
  List<Keyed> entries;
  for (const Value& item : iterate(runtime, input)) {
    entries.emplace_back(sort_keys(runtime, item, bound[2], flag(bound[1], false)), item);
  }
  stable_sort(runtime, entries, flag(bound[0], false));
  List<Value> items;
  for (Keyed& entry : entries) items.push_back(std::move(entry.second));
  return runtime.list(std::move(items));
}

Value filter_dictsort(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "dictsort", arguments, {"case_sensitive", "by", "reverse"});
  if (!input.is(Kind::kDict)) {
    runtime.fail(fmt::format("dictsort needs a dict, not {}", type_name(input)));
  }
  const Text by = bound[1].has_value() ? to_text(runtime, *bound[1]) : "key";
  if (by != "key" && by != "value") {
    runtime.fail("You can only sort by either \"key\" or \"value\"");
  }
  List<Keyed> entries;
  for (const auto& [key, value] : input.as<DictObject>().entries) {
    entries.emplace_back(
        sort_key(runtime, by == "key" ? key : value, std::nullopt, flag(bound[0], false)),
        runtime.tuple({key, value}));
  }
  stable_sort(runtime, entries, flag(bound[2], false));
  List<Value> items;
  for (Keyed& entry : entries) items.push_back(std::move(entry.second));
  return runtime.list(std::move(items));
}

Value filter_unique(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "unique", arguments, {"case_sensitive", "attribute"});
  std::set<Text, std::less<>, Metered<Text>> seen;
  List<Value> items;
  for (const Value& item : iterate(runtime, input)) {
    const Value key = sort_key(runtime, item, bound[1], flag(bound[0], false));
    Text hash;
    if (!hash_key(key, hash)) runtime.fail(fmt::format("unhashable type: '{}'", type_name(key)));
    runtime.tick_scan(hash);
    if (seen.insert(std::move(hash)).second) items.push_back(item);
  }
  return runtime.generator(std::move(items));
}

Value extreme(Runtime& runtime, const Value& input, const Arguments& arguments, bool greatest) {
  const auto bound =
      bind(runtime, greatest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const auto source = iterate(runtime, input);
  if (source.all().empty()) return runtime.undefined("No aggregated item, sequence was empty.");
  const Value* best = nullptr;
  Value best_key;
  for (const Value& item : source.all()) {
    Value key = sort_key(runtime, item, bound[1], flag(bound[0], false));
    const bool better = best == nullptr || (greatest ? less_than(runtime, best_key, key)
                                                     : less_than(runtime, key, best_key));
    if (!better) continue;
    best = &item;
    best_key = std::move(key);
  }
  return *best;
}

Value filter_min(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return extreme(runtime, input, arguments, false);
}

Value filter_max(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return extreme(runtime, input, arguments, true);
}

Value filter_sum(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "sum", arguments, {"attribute", "start"});
  const bool has_attribute = bound[0].has_value() && !bound[0]->is(Kind::kNone);
  Value total = bound[1].value_or(Value::integer(0));
  if (total.is_string()) runtime.fail("sum() can't sum strings");
  for (const Value& item : iterate(runtime, input)) {
    total = apply_binary(runtime, Operator::kAdd, total,
                         has_attribute ? attribute_path(runtime, item, *bound[0]) : item);
  }
  return total;
}

Value filter_batch(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(runtime, "batch", arguments, {"linecount", "fill_with"});
  if (!bound[0].has_value() || !bound[0]->is_integral()) {
    runtime.fail("batch needs the number of items per batch");
  }
  const int64_t count = bound[0]->as_int();
  const bool fills = bound[1].has_value() && !bound[1]->is(Kind::kNone);
  List<Value> batches;
  List<Value> batch;
  for (const Value& item : iterate(runtime, input)) {
    if (static_cast<int64_t>(batch.size()) == count) {
      batches.push_back(runtime.list(std::exchange(batch, {})));
    }
    batch.push_back(item);
  }
  if (!batch.empty()) {
    while (fills && static_cast<int64_t>(batch.size()) < count) {
      batch.push_back(*bound[1]);
    }
    batches.push_back(runtime.list(std::move(batch)));
  }
  return runtime.generator(std::move(batches));
}

// A list of (key, items) tuples; `.grouper` and `.list` are not there.
Value filter_groupby(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound =
      bind(runtime, "groupby", arguments, {"attribute", "default", "case_sensitive"});
  if (!bound[0].has_value()) runtime.fail("groupby needs an attribute");
  List<Keyed> entries;
  for (const Value& item : iterate(runtime, input)) {
    Value key = attribute_path(runtime, item, *bound[0]);
    if (key.is_undefined() && bound[1].has_value()) key = *bound[1];
    entries.emplace_back(std::move(key), item);
  }
  const bool case_counts = flag(bound[2], false);
  List<Keyed> order;  // sort key, (key, item)
  for (const Keyed& entry : entries) {
    order.emplace_back(sort_key(runtime, entry.first, std::nullopt, case_counts),
                       runtime.tuple({entry.first, entry.second}));
  }
  stable_sort(runtime, order, false);
  List<Value> groups;
  for (size_t begin = 0; begin < order.size();) {
    List<Value> group;
    size_t end = begin;
    while (end < order.size() && equal(runtime, order[begin].first, order[end].first)) {
      group.push_back(order[end++].second.items()[1]);
    }
    groups.push_back(
        runtime.tuple({order[begin].second.items()[0], runtime.list(std::move(group))}));
    begin = std::max(end, begin + 1);
  }
  return runtime.list(std::move(groups));
}

}  // namespace

Value attribute_path(Runtime& runtime, const Value& item_value, const Value& path) {
  if (!path.is_string()) return item(runtime, item_value, path);
  Value value = item_value;
  const Text& text = path.text();
  runtime.tick_scan(text);
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('.', begin), text.size());
    const Text part = text.substr(begin, end - begin);
    const bool is_index =
        !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == Text::npos;
    value = item(runtime, value,
                 is_index ? Value::integer(std::stoll(std::string(part))) : runtime.string(part));
    begin = end + 1;
  }
  return value;
}

Filter find_sequence_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, Filter> kFilters = {
      {"batch", filter_batch},     {"count", filter_length},    {"dictsort", filter_dictsort},
      {"first", filter_first},     {"groupby", filter_groupby}, {"items", filter_items},
      {"join", filter_join},       {"last", filter_last},       {"length", filter_length},
      {"list", filter_list},       {"max", filter_max},         {"min", filter_min},
      {"reverse", filter_reverse}, {"sort", filter_sort},       {"sum", filter_sum},
      {"unique", filter_unique},
  };
  const auto found = kFilters.find(name);
  return found == kFilters.end() ? nullptr : found->second;
}

}  // namespace gallop::text::jinja
