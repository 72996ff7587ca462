// `gallop bench`: the speed of decoding and of prompts beside its floor, and plots of the results.
#pragma once

#include "cli/command.h"

namespace gallop::cli {

// Declares the command and its options.
void add_bench_command(Command& root);

}  // namespace gallop::cli
