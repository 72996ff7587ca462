// `gallop render`: what a model's chat template makes of a conversation, byte for byte.
#pragma once

#include "cli/command.h"

namespace gallop::cli {

// Declares the command and its options.
void add_render_command(Command& root);

}  // namespace gallop::cli
