// `gallop bench`: the speed of decoding and of prompts beside its floor, and plots of the results.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

namespace gallop::cli {

// Registers the command; when it is chosen, `action` runs it and returns the exit code.
void add_bench_command(CLI::App& app, std::function<int()>& action);

}  // namespace gallop::cli
