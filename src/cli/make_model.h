// `gallop make-model`: a random checkpoint of any shape of the family, and a drafter for it.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

namespace gallop::cli {

// Registers the command; when it is chosen, `action` runs it and returns the exit code.
void add_make_model_command(CLI::App& app, std::function<int()>& action);

}  // namespace gallop::cli
