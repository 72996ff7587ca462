// `gallop tokenize`: JSON strings on stdin, lists of token ids on stdout, or the other way round.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

namespace CLI {
class App;
}

namespace gallop::cli {

struct TokenizeOptions {
  std::string model;               // a model directory
  std::string add_special = "on";  // on or off: whether the post_processor applies
  bool decode = false;             // ids to text
};

// One line of `in` gives one line of `out`; the first bad line ends the run. Returns the exit code.
int run_tokenize(const TokenizeOptions& options, std::istream& in, std::ostream& out,
                 std::ostream& errors);

// Registers the subcommand; when it is chosen, `action` becomes what runs it on stdin and stdout.
void add_tokenize_command(CLI::App& app, std::function<int()>& action);

}  // namespace gallop::cli
