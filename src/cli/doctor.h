// `gallop doctor`: what this machine can run, how fast its cores are, and how much context of a
// model fits into its memory.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

namespace gallop::cli {

// Registers the command; when it is chosen, `action` runs it and returns the exit code.
void add_doctor_command(CLI::App& app, std::function<int()>& action);

}  // namespace gallop::cli
