#include "cli/tokenize.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <iostream>
#include <limits>
#include <memory>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace gallop::cli {
namespace {

Result<std::string> encode_line(const text::Tokenizer& tokenizer, const Json& value,
                                bool add_special) {
  if (!value.is_string()) {
    return Error{fmt::format("expected a JSON string, found {}", value.type_name())};
  }
  const std::vector<int32_t> ids =
      tokenizer.encode(value.get_ref<const std::string&>(), add_special);
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

}  // namespace

int run_tokenize(const TokenizeOptions& options, std::istream& in, std::ostream& out,
                 std::ostream& errors) {
  const Result<text::Tokenizer> tokenizer = text::Tokenizer::load(options.model);
  if (!tokenizer.ok()) {
    errors << "gallop: " << tokenizer.error().message << '\n';
    return 1;
  }
  std::string line;
  for (int64_t number = 1; out && std::getline(in, line); ++number) {
    const Result<Json> value = parse_json(line);
    const Result<std::string> answer =
        !value.ok() ? Result<std::string>(value.error())
        : options.decode
            ? decode_line(tokenizer.value(), value.value())
            : encode_line(tokenizer.value(), value.value(), options.add_special == "on");
    if (!answer.ok()) {
      out.flush();
      errors << "gallop: line " << number << ": " << answer.error().message << '\n';
      return 1;
    }
    out << answer.value() << '\n';
  }
  if (in.bad()) {
    errors << "gallop: stdin could not be read to its end\n";
    return 1;
  }
  out.flush();
  if (!out) {
    errors << "gallop: the results could not be written to stdout\n";
    return 1;
  }
  return 0;
}

void add_tokenize_command(CLI::App& app, std::function<int()>& action) {
  const auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command = app.add_subcommand(
      "tokenize",
      "Token ids of JSON strings: one string a line on stdin, one list a line on stdout");
  command->add_option("--model", options->model, "Model directory (tokenizer.json)")->required();
  command
      ->add_option("--add-special", options->add_special,
                   "Whether the tokenizer's post_processor applies")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  command->add_flag("--decode", options->decode,
                    "The other way: one JSON list of ids a line to one JSON string a line");
  command->callback([options, &action] {
    action = [options] { return run_tokenize(*options, std::cin, std::cout, std::cerr); };
  });
}

}  // namespace gallop::cli
