// `gallop serve`: the API server over one model.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

namespace gallop::cli {

// Registers the command; when it is chosen, `action` runs it and returns the exit code.
void add_serve_command(CLI::App& app, std::function<int()>& action);

}  // namespace gallop::cli
