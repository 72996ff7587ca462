// `gallop generate`: one request or a batch, without a server.
#pragma once

#include "cli/command.h"

namespace gallop::cli {

// Declares the command and its options.
void add_generate_command(Command& root);

}  // namespace gallop::cli
