#include "cli/environment.h"

#include <cstdlib>

namespace gallop::cli {

std::string environment_api_key() {
  const char* value = std::getenv("VLLM_API_KEY");
  return value == nullptr ? "" : value;
}

}  // namespace gallop::cli
