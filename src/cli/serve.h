// `gallop serve`: the API server over one model.
#pragma once

#include "cli/command.h"

namespace gallop::cli {

// Declares the command and its options.
void add_serve_command(Command& root);

}  // namespace gallop::cli
