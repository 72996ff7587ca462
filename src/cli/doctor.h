// `gallop doctor`: what this machine can run, how fast its cores are, and how much context of a
// model fits into its memory.
#pragma once

#include "cli/command.h"

namespace gallop::cli {

// Declares the command and its options.
void add_doctor_command(Command& root);

}  // namespace gallop::cli
