// `gallop make-model`: a random checkpoint of any shape of the family, and a drafter for it.
#pragma once

#include "cli/command.h"

namespace gallop::cli {

// Declares the command and its options.
void add_make_model_command(Command& root);

}  // namespace gallop::cli
