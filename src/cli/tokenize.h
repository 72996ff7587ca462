// `gallop tokenize`: JSON strings on stdin, lists of token ids on stdout, or the other way round.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace gallop::cli {

// Registers the subcommand; when it is chosen, `action` becomes what runs it on stdin and stdout.
void add_tokenize_command(CLI::App& app, std::function<int()>& action);

}  // namespace gallop::cli
