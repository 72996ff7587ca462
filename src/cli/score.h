// `gallop score`: logits and hidden states of given tokens, to a safetensors file.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

namespace gallop::cli {

// Registers the command; when it is chosen, `action` runs it and returns the exit code.
void add_score_command(CLI::App& app, std::function<int()>& action);

}  // namespace gallop::cli
