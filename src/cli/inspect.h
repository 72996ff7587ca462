// `gallop inspect`: what a checkpoint holds, and whether this program takes it.
#pragma once

#include "cli/command.h"

namespace gallop::cli {

// Declares the command and its options.
void add_inspect_command(Command& root);

}  // namespace gallop::cli
