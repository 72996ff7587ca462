// `gallop score`: logits and hidden states of given tokens, to a safetensors file.
#pragma once

#include "cli/command.h"

namespace gallop::cli {

// Declares the command and its options.
void add_score_command(Command& root);

}  // namespace gallop::cli
