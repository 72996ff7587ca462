#include "cli/tokenize.h"

#include <cstdint>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/json.h"
#include "cli/report.h"
#include "text/tokenizer.h"

namespace gallop::cli {
namespace {

struct TokenizeOptions {
  std::string model;               // a model directory
  std::string add_special = "on";  // on or off: whether the post_processor applies
  bool decode = false;             // ids to text
};

Result<std::string> encode_line(const text::Tokenizer& tokenizer, const Json& value,
                                bool add_special) {
  if (!value.is_string()) {
    return Error{fmt::format("expected a JSON string, found {}", value.type_name())};
  }
  ASSIGN_OR_RETURN(const std::vector<int32_t> ids,
                   tokenizer.encode(value.get_ref<const std::string&>(), add_special));
  return fmt::format("[{}]", fmt::join(ids, ","));
}

Result<std::string> decode_line(const text::Tokenizer& tokenizer, const Json& value) {
  if (!value.is_array()) {
    return Error{fmt::format("expected a JSON list of token ids, found {}", value.type_name())};
  }
  std::vector<int32_t> ids;
  for (const Json& id : value) {
    if (!id.is_number_unsigned() ||
        id.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
      return Error{fmt::format("expected a token id, found {}", dump_json(id))};
    }
    ids.push_back(static_cast<int32_t>(id.get<uint64_t>()));
  }
  ASSIGN_OR_RETURN(const std::string text, tokenizer.decode(ids, false));
  return dump_json(Json(text));
}

Result<std::string> convert_line(const text::Tokenizer& tokenizer, const TokenizeOptions& options,
                                 const std::string& line) {
  ASSIGN_OR_RETURN(const Json value, parse_json(line));
  return options.decode ? decode_line(tokenizer, value)
                        : encode_line(tokenizer, value, options.add_special == "on");
}

// One line of stdin gives one line of stdout; the first bad line ends the run.
Result<void> run_tokenize(const TokenizeOptions& options) {
  ASSIGN_OR_RETURN(const text::Tokenizer tokenizer, text::Tokenizer::load(options.model));
  std::string line;
  for (int64_t number = 1; std::cout && std::getline(std::cin, line); ++number) {
    const Result<std::string> converted = convert_line(tokenizer, options, line);
    if (!converted.ok()) {
      RETURN_IF_ERROR(flush_output());
      return Error{fmt::format("line {}: {}", number, converted.error().message)};
    }
    std::cout << *converted << '\n';
  }
  if (std::cin.bad()) return Error{"stdin could not be read to its end"};
  return flush_output();
}

}  // namespace

void add_tokenize_command(Command& root) {
  const auto options = std::make_shared<TokenizeOptions>();
  Command command = root.command(
      "tokenize",
      "Token ids of JSON strings: one string a line on stdin, one list a line on stdout");
  command.option("--model", options->model, "Model directory (tokenizer.json)").required();
  command
      .option("--add-special", options->add_special,
              "Whether the tokenizer's post_processor applies")
      .one_of({"on", "off"})
      .show_default();
  command.flag("--decode", options->decode,
               "The other way: one JSON list of ids a line to one JSON string a line");
  command.runs([options] { return report(run_tokenize(*options)); });
}

}  // namespace gallop::cli
