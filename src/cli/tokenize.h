// `gallop tokenize`: JSON strings on stdin, lists of token ids on stdout, or the other way round.
#pragma once

#include "cli/command.h"

namespace gallop::cli {

// Declares the command and its options.
void add_tokenize_command(Command& root);

}  // namespace gallop::cli
