// `gallop render`: what a model's chat template makes of a conversation, byte for byte.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

namespace gallop::cli {

// Adds the subcommand; when it is chosen, `action` becomes the function that runs it and returns
// the exit code. The options live as long as the action.
void add_render_command(CLI::App& app, std::function<int()>& action);

}  // namespace gallop::cli
