// The CPU backend: runs each operation at once, on a pool of threads. Host memory is device memory.
#pragma once

#include <memory>

#include "ops/backend.h"

namespace gallop::ops {

// `threads` >= 1. Changes no bit of any result.
std::unique_ptr<Backend> make_cpu_backend(int threads);

}  // namespace gallop::ops
