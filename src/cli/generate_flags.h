// The options of `gallop generate`.
#pragma once

#include <filesystem>

#include "base/json.h"
#include "cli/command.h"
#include "cli/open_generator.h"

namespace gallop::cli {

struct GenerateOptions {
  GeneratorOptions generator;
  std::filesystem::path batch;
  std::filesystem::path messages;
  Json request = Json::object();  // what the flags said, as the keys of a batch line
  bool json = false;
};

// The values go to `options`, which must outlive the parsing.
void add_generate_flags(Command& command, GenerateOptions& options);

// What no single option can tell: exactly one prompt, and every value in its range; else it
// refuses.
void check_generate_flags(const Command& command, const GenerateOptions& options);

}  // namespace gallop::cli
