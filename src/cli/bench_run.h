// Measures one model on this machine: runs the same random prompt several times through the engine
// and takes medians. The floor is what the step's bytes and arithmetic take at the rates that the
// same threads reach in the same process. Loading and one run to warm up are outside of the times.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/step_work.h"
#include "ops/decorators/timed_backend.h"

namespace gallop::cli {

struct BenchOptions {
  std::filesystem::path model;
  std::filesystem::path drafter;  // empty: no drafter
  int32_t threads = 0;            // 0: the usable cores
  int32_t tokens = 0;             // prompt tokens, or tokens to decode
  int32_t context = 0;            // prompt tokens before what is decoded
  int32_t chunk = 512;            // most prompt tokens of a step
  std::optional<int32_t> drafts;  // a step; nothing: as many as the drafter allows
  int32_t runs = 5;
  bool profile = false;
};

struct BenchResult {
  int32_t threads = 0;
  int32_t drafts = 0;
  std::string model;    // "layers=8 hidden=256 weights=bf16"
  std::string drafter;  // the format of its weights; empty: none
  double load_ms = 0;
  double seconds = 0;                // median of the timed part of a run
  double steps = 0;                  // of that run
  double tokens = 0;                 // it gave, or took in
  double read_rate = 0;              // bytes a second, of as many bytes as a step reads
  double multiply_add_rate = 0;      // FLOP a second
  model::Work work;                  // of the whole timed part
  double floor_seconds = 0;          // of the whole timed part
  std::vector<ops::OpTime> profile;  // of all timed runs together; empty unless asked for
};

// Time from submission to the first token.
Result<BenchResult> bench_prefill(const BenchOptions& options);

// Time from the first token to the last.
Result<BenchResult> bench_decode(const BenchOptions& options);

}  // namespace gallop::cli
