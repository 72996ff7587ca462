#include "cli/environment.h"

#include <cstdlib>

namespace gallop::cli {
namespace {

std::string value_of(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string environment_api_key() { return value_of("VLLM_API_KEY"); }

std::string environment_instruction_set() { return value_of("GALLOP_INSTRUCTION_SET"); }

}  // namespace gallop::cli
