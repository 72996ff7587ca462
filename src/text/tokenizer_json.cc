#include "text/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/json.h"
#include "text/tokenizer_sax.h"

namespace gallop::text {
namespace {

constexpr size_t kMaxAddedTokenBytes = 4096;  // bounds the time of a search for added tokens

std::string describe(const Json& value) {
  if (value.is_structured()) return value.type_name();
  std::string text = dump_json(value);
  if (text.size() > 80) text = text.substr(0, 80) + "...";
  return text;
}

Error expected(std::string_view where, std::string_view wanted, const Json& found) {
  return Error{fmt::format("{}: expected {}, found {}", where, wanted, describe(found))};
}

// Every key that could change the ids is known; an unknown one may be such a key of a newer format.
Result<void> check_object(const Json& value, std::string_view where,
                          std::initializer_list<std::string_view> known) {
  if (!value.is_object()) return expected(where, "an object", value);
  for (const auto& [key, unused] : value.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return Error{fmt::format("{}: the key \"{}\" is not supported", where, key)};
    }
  }
  return {};
}

Json member(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found == object.end() ? Json(nullptr) : *found;
}

Result<bool> bool_member(const Json& object, std::string_view where, std::string_view key,
                         std::optional<bool> if_absent) {
  const auto found = object.find(key);
  if (found == object.end() && if_absent) return *if_absent;
  const std::string place = fmt::format("{}.{}", where, key);
  if (found == object.end()) return Error{fmt::format("{}: missing", place)};
  if (!found->is_boolean()) return expected(place, "true or false", *found);
  return found->get<bool>();
}

Result<std::string> string_member(const Json& object, std::string_view where,
                                  std::string_view key) {
  const Json value = member(object, key);
  if (!value.is_string()) return expected(fmt::format("{}.{}", where, key), "a string", value);
  return value.get<std::string>();
}

Result<int32_t> id_value(const Json& value, std::string_view where) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() >= uint64_t{kTokenIdLimit}) {
    return expected(where, fmt::format("an id from 0 to {}", kTokenIdLimit - 1), value);
  }
  return static_cast<int32_t>(value.get<uint64_t>());
}

// The object's "type"; for errors about parts that are not supported.
std::string type_of(const Json& value) {
  const Json type = value.is_object() ? member(value, "type") : Json(nullptr);
  return type.is_string() ? type.get<std::string>() : "";
}

Error unsupported(std::string_view where, std::string_view supported, const Json& value) {
  const std::string type = type_of(value);
  return Error{fmt::format("{}: {} is not supported; supported: {}", where,
                           type.empty() ? describe(value) : "\"" + type + "\"", supported)};
}

Result<SplitBehavior> parse_behavior(const Json& value, std::string_view where) {
  constexpr std::pair<std::string_view, SplitBehavior> kNames[] = {
      {"Removed", SplitBehavior::kRemoved},
      {"Isolated", SplitBehavior::kIsolated},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext},
      {"Contiguous", SplitBehavior::kContiguous}};
  for (const auto& [name, behavior] : kNames) {
    if (value == name) return behavior;
  }
  return expected(where, "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous",
                  value);
}

Result<PreTokenizerStep> parse_split(const Json& value, const std::string& where) {
  RETURN_IF_ERROR(check_object(value, where, {"type", "pattern", "behavior", "invert"}));
  const Json pattern = member(value, "pattern");
  RETURN_IF_ERROR(check_object(pattern, where + ".pattern", {"Regex"}));
  ASSIGN_OR_RETURN(const std::string regex, string_member(pattern, where + ".pattern", "Regex"));
  PreTokenizerStep step;
  step.pattern = known_split_pattern(regex);
  if (!step.pattern) {
    Result<SplitRegex> compiled = SplitRegex::make(regex);
    if (!compiled.ok()) {
      return Error{fmt::format("{}.pattern: {}", where, compiled.error().message)};
    }
    step.regex = std::make_shared<const SplitRegex>(std::move(compiled).value());
  }
  ASSIGN_OR_RETURN(step.behavior, parse_behavior(member(value, "behavior"), where + ".behavior"));
  ASSIGN_OR_RETURN(step.invert, bool_member(value, where, "invert", std::nullopt));
  return step;
}

Result<PreTokenizerStep> parse_byte_level(const Json& value, const std::string& where) {
  RETURN_IF_ERROR(
      check_object(value, where, {"type", "add_prefix_space", "trim_offsets", "use_regex"}));
  PreTokenizerStep step;
  step.byte_level = true;
  ASSIGN_OR_RETURN(step.add_prefix_space,
                   bool_member(value, where, "add_prefix_space", std::nullopt));
  RETURN_IF_ERROR(bool_member(value, where, "trim_offsets", std::nullopt));
  ASSIGN_OR_RETURN(const bool use_regex, bool_member(value, where, "use_regex", true));
  if (use_regex) step.pattern = SplitPattern{.gpt2 = true};
  return step;
}

// Recursion is bounded by the depth of the JSON.
Result<void> parse_pre_tokenizer(const Json& value, const std::string& where,
                                 std::vector<PreTokenizerStep>& steps) {
  const std::string type = type_of(value);
  if (type == "Split") {
    ASSIGN_OR_RETURN(PreTokenizerStep step, parse_split(value, where));
    steps.push_back(step);
    return {};
  }
  if (type == "ByteLevel") {
    ASSIGN_OR_RETURN(PreTokenizerStep step, parse_byte_level(value, where));
    steps.push_back(step);
    return {};
  }
  if (type != "Sequence") return unsupported(where, "Split, ByteLevel and Sequence", value);
  RETURN_IF_ERROR(check_object(value, where, {"type", "pretokenizers"}));
  const Json list = member(value, "pretokenizers");
  if (!list.is_array()) return expected(where + ".pretokenizers", "a list", list);
  for (size_t i = 0; i < list.size(); ++i) {
    RETURN_IF_ERROR(
        parse_pre_tokenizer(list[i], fmt::format("{}.pretokenizers[{}]", where, i), steps));
  }
  return {};
}

// {"SpecialToken": {"id": name}} with name in `tokens`, or {"Sequence": {"id": "A"}}.
Result<TemplatePart> parse_template_part(const Json& value, const Json& tokens,
                                         const std::string& where) {
  RETURN_IF_ERROR(check_object(value, where, {"SpecialToken", "Sequence"}));
  if (value.size() != 1) return expected(where, "one of SpecialToken and Sequence", value);
  const std::string kind = value.begin().key();
  const std::string inner = where + "." + kind;
  const Json& body = *value.begin();
  RETURN_IF_ERROR(check_object(body, inner, {"id", "type_id"}));
  ASSIGN_OR_RETURN(const std::string name, string_member(body, inner, "id"));
  TemplatePart part;
  if (kind == "Sequence") {
    if (name != "A") return expected(inner + ".id", "\"A\"", member(body, "id"));
    part.is_text = true;
    return part;
  }
  const Json token = member(tokens, name);
  const std::string place = fmt::format("post_processor.special_tokens[\"{}\"]", name);
  RETURN_IF_ERROR(check_object(token, place, {"id", "ids", "tokens"}));
  const Json ids = member(token, "ids");
  if (!ids.is_array()) return expected(place + ".ids", "a list", ids);
  for (const Json& id : ids) {
    ASSIGN_OR_RETURN(const int32_t number, id_value(id, place + ".ids"));
    part.ids.push_back(number);
  }
  return part;
}

Result<std::vector<TemplatePart>> parse_template(const Json& value, const std::string& where) {
  RETURN_IF_ERROR(check_object(value, where, {"type", "single", "pair", "special_tokens"}));
  const Json single = member(value, "single");
  if (!single.is_array() || single.empty()) {
    return expected(where + ".single", "a list that is not empty", single);
  }
  const Json tokens = member(value, "special_tokens");
  if (!tokens.is_object()) return expected(where + ".special_tokens", "an object", tokens);
  std::vector<TemplatePart> parts;
  for (size_t i = 0; i < single.size(); ++i) {
    ASSIGN_OR_RETURN(
        TemplatePart part,
        parse_template_part(single[i], tokens, fmt::format("{}.single[{}]", where, i)));
    parts.push_back(std::move(part));
  }
  return parts;
}

Result<void> parse_post_processor(const Json& value, const std::string& where,
                                  std::vector<TemplatePart>& parts) {
  if (value.is_null()) return {};
  const std::string type = type_of(value);
  if (type == "ByteLevel") return {};  // moves offsets, never ids
  if (type == "TemplateProcessing") {
    if (!parts.empty()) return Error{where + ": a second TemplateProcessing is not supported"};
    ASSIGN_OR_RETURN(parts, parse_template(value, where));
    return {};
  }
  if (type != "Sequence") {
    return unsupported(where, "null, ByteLevel, TemplateProcessing and Sequence", value);
  }
  RETURN_IF_ERROR(check_object(value, where, {"type", "processors"}));
  const Json list = member(value, "processors");
  if (!list.is_array()) return expected(where + ".processors", "a list", list);
  for (size_t i = 0; i < list.size(); ++i) {
    RETURN_IF_ERROR(
        parse_post_processor(list[i], fmt::format("{}.processors[{}]", where, i), parts));
  }
  return {};
}

// `lenient`: absent flags have transformers' defaults, as in added_tokens_decoder.
Result<AddedToken> parse_added_token(const Json& value, const std::string& where, bool lenient) {
  RETURN_IF_ERROR(check_object(
      value, where,
      {"__type", "id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}));
  const std::optional<bool> off = lenient ? std::optional<bool>(false) : std::nullopt;
  AddedToken token;
  ASSIGN_OR_RETURN(token.content, string_member(value, where, "content"));
  ASSIGN_OR_RETURN(token.single_word, bool_member(value, where, "single_word", off));
  ASSIGN_OR_RETURN(token.lstrip, bool_member(value, where, "lstrip", off));
  ASSIGN_OR_RETURN(token.rstrip, bool_member(value, where, "rstrip", off));
  ASSIGN_OR_RETURN(token.special, bool_member(value, where, "special", off));
  ASSIGN_OR_RETURN(token.normalized,
                   bool_member(value, where, "normalized",
                               lenient ? std::optional<bool>(!token.special) : std::nullopt));
  if (token.content.empty()) return Error{where + ".content: an added token must not be empty"};
  if (token.content.size() > kMaxAddedTokenBytes) {
    return Error{fmt::format("{}.content: {} bytes; at most {} are supported", where,
                             token.content.size(), kMaxAddedTokenBytes)};
  }
  return token;
}

Result<void> parse_added_tokens(const Json& list, std::vector<DeclaredToken>& out) {
  if (list.is_null()) return {};
  if (!list.is_array()) return expected("added_tokens", "a list", list);
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string where = fmt::format("added_tokens[{}]", i);
    ASSIGN_OR_RETURN(AddedToken token, parse_added_token(list[i], where, false));
    ASSIGN_OR_RETURN(const int32_t id, id_value(member(list[i], "id"), where + ".id"));
    out.push_back({std::move(token), id});
  }
  return {};
}

Result<void> parse_config(std::string_view text, std::vector<DeclaredToken>& out) {
  JsonLimits limits;
  limits.max_keys = 16'384;
  ASSIGN_OR_RETURN(const Json config, parse_json(text, limits));
  if (!config.is_object()) return expected("the file", "an object", config);
  const Json decoder = member(config, "added_tokens_decoder");
  if (decoder.is_null()) return {};
  if (!decoder.is_object()) return expected("added_tokens_decoder", "an object", decoder);
  for (const auto& [key, value] : decoder.items()) {
    const std::string where = fmt::format("added_tokens_decoder[\"{}\"]", key);
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= kTokenIdLimit) {
      return Error{fmt::format("{}: the key must be an id from 0 to {}", where, kTokenIdLimit - 1)};
    }
    ASSIGN_OR_RETURN(AddedToken token, parse_added_token(value, where, true));
    out.push_back({std::move(token), id});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const DeclaredToken& a, const DeclaredToken& b) { return a.id < b.id; });
  return {};
}

bool is_absent(const Json& value) { return value.is_null() || value == ""; }

Result<void> parse_model(const Json& model, const TokenizerJson& json, BpeSpec& bpe) {
  RETURN_IF_ERROR(check_object(
      model, "model",
      {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
       "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"}));
  if (model.contains("type") && type_of(model) != "BPE") return unsupported("model", "BPE", model);
  if (!json.has_vocabulary) return expected("model.vocab", "an object", member(model, "vocab"));
  if (!json.has_merges) return expected("model.merges", "a list", member(model, "merges"));
  const Json dropout = member(model, "dropout");
  if (!dropout.is_null() && dropout != 0) return expected("model.dropout", "null or 0", dropout);
  for (const std::string key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json value = member(model, key);
    if (!is_absent(value)) return expected("model." + key, "null or \"\"", value);
  }
  const Json unknown = member(model, "unk_token");
  if (!unknown.is_null() && !unknown.is_string()) {
    return expected("model.unk_token", "null or a string", unknown);
  }
  ASSIGN_OR_RETURN(const bool byte_fallback, bool_member(model, "model", "byte_fallback", false));
  RETURN_IF_ERROR(bool_member(model, "model", "fuse_unk", false));
  ASSIGN_OR_RETURN(bpe.ignore_merges, bool_member(model, "model", "ignore_merges", false));
  bpe.unknown_matters = !is_absent(unknown) || byte_fallback;
  return {};
}

Result<TokenizerSpec> parse_tree(TokenizerJson json) {
  const Json& tree = json.tree;
  RETURN_IF_ERROR(check_object(tree, "the file",
                               {"version", "truncation", "padding", "added_tokens", "normalizer",
                                "pre_tokenizer", "post_processor", "decoder", "model"}));
  const Json version = member(tree, "version");
  if (!version.is_null() && version != "1.0") return expected("version", "\"1.0\"", version);
  for (const std::string key : {"truncation", "padding"}) {
    const Json value = member(tree, key);
    if (!value.is_null()) return expected(key, "null (no other is supported)", value);
  }
  TokenizerSpec spec;
  spec.bpe = std::move(json.bpe);
  RETURN_IF_ERROR(parse_model(member(tree, "model"), json, spec.bpe));
  const Json normalizer = member(tree, "normalizer");
  spec.nfc = type_of(normalizer) == "NFC";
  if (!normalizer.is_null() && !spec.nfc)
    return unsupported("normalizer", "null and NFC", normalizer);
  RETURN_IF_ERROR(parse_pre_tokenizer(member(tree, "pre_tokenizer"), "pre_tokenizer", spec.steps));
  RETURN_IF_ERROR(
      parse_post_processor(member(tree, "post_processor"), "post_processor", spec.post));
  if (spec.post.empty()) spec.post.push_back({.is_text = true, .ids = {}});
  const Json decoder = member(tree, "decoder");
  if (type_of(decoder) != "ByteLevel") return unsupported("decoder", "ByteLevel", decoder);
  RETURN_IF_ERROR(parse_added_tokens(member(tree, "added_tokens"), spec.added));
  return spec;
}

template <typename T>
Result<T> in_file(std::string_view file, Result<T> result) {
  if (result.ok()) return result;
  return Error{fmt::format("{}: {}", file, result.error().message), result.error().code};
}

}  // namespace

Result<TokenizerSpec> parse_tokenizer(std::string_view tokenizer_json, std::string_view config) {
  ASSIGN_OR_RETURN(TokenizerJson json,
                   in_file("tokenizer.json", read_tokenizer_json(tokenizer_json)));
  ASSIGN_OR_RETURN(TokenizerSpec spec, in_file("tokenizer.json", parse_tree(std::move(json))));
  if (!config.empty()) {
    RETURN_IF_ERROR(in_file("tokenizer_config.json", parse_config(config, spec.config_added)));
  }
  return spec;
}

}  // namespace gallop::text
