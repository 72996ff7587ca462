#include "cli/bench.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/json.h"
#include "base/machine.h"
#include "cli/bench_csv.h"
#include "cli/bench_plot.h"
#include "cli/bench_run.h"
#include "cli/flag_values.h"
#include "cli/numbers.h"
#include "cli/open_generator.h"
#include "cli/report.h"
#include "cli/units.h"
#include "ops/cpu/simd.h"

namespace gallop::cli {
namespace {

struct SpeedOptions {
  BenchOptions bench;
  bool decode = false;
  std::filesystem::path csv;  // empty: none
  bool json = false;
};

struct PlotOptions {
  std::filesystem::path csv;
  std::filesystem::path out;
};

// `config` and all else that a result depends on: rows of one config replace each other in a plot.
BenchRow row_of(const BenchResult& result, std::string measure, std::string config) {
  return {.date = today(),
          .commit = build_commit(),
          .chip = chip_slug(cpu_name()),
          .measure = std::move(measure),
          .config = fmt::format("{} {} threads={} instruction_set={}", config, result.model,
                                result.threads, ops::simd::instruction_set()),
          .unit = {},
          .floor = {}};
}

BenchRow rate_row(const BenchResult& result, std::string measure, std::string config) {
  BenchRow row = row_of(result, std::move(measure), std::move(config));
  row.unit = "tokens/s";
  row.value = result.tokens / result.seconds;
  row.floor = result.tokens / result.floor_seconds;
  return row;
}

std::string prefill_config(const BenchOptions& options, const BenchResult& result) {
  std::string config =
      fmt::format("tokens={} chunk={}", short_count(options.tokens), options.chunk);
  if (!result.drafter.empty()) config += " drafter=" + result.drafter;
  return config;
}

std::vector<BenchRow> rows_of(const SpeedOptions& options, const BenchResult& result) {
  if (!options.decode) {
    return {rate_row(result, "prefill", prefill_config(options.bench, result))};
  }
  const std::string batch = fmt::format("batch=1 ctx={} tokens={}",
                                        short_count(options.bench.context), options.bench.tokens);
  const std::string block =
      result.drafts == 0
          ? batch
          : fmt::format("block={} drafter={} {}", result.drafts + 1, result.drafter, batch);
  BenchRow step = row_of(result, result.drafts == 0 ? "plain_step" : "spec_step", block);
  step.unit = "ms";
  step.value = 1e3 * result.seconds / result.steps;
  step.floor = 1e3 * result.floor_seconds / result.steps;
  return {step, rate_row(result, "decode", block)};
}

Json profile_json(const BenchResult& result) {
  double total = 0;
  for (const ops::OpTime& time : result.profile) total += time.seconds;
  Json profile = Json::array();
  for (const ops::OpTime& time : result.profile) {
    profile.push_back({{"op", time.op},
                       {"calls", time.calls},
                       {"ms", 1e3 * time.seconds},
                       {"share", total > 0 ? time.seconds / total : 0}});
  }
  return profile;
}

Json result_json(const SpeedOptions& options, const BenchResult& result) {
  Json json = {{"measure", options.decode ? "decode" : "prefill"},
               {"model", options.bench.model.string()},
               {"shape", result.model},
               {"threads", result.threads},
               {"instruction_set", ops::simd::instruction_set()},
               {"tokens", options.bench.tokens},
               {"runs", options.bench.runs}};
  if (options.decode) {
    json["context"] = options.bench.context;
    json["spec_tokens"] = result.drafts;
    json["accepted_length_mean"] = result.tokens / result.steps;
  }
  json["load_ms"] = result.load_ms;
  json["steps"] = result.steps;
  json["ms"] = 1e3 * result.seconds;
  json["step_ms"] = 1e3 * result.seconds / result.steps;
  json["tokens_per_second"] = result.tokens / result.seconds;
  json["bytes_per_step"] = result.work.bytes / result.steps;
  json["flop_per_step"] = result.work.operations / result.steps;
  json["read_gb_per_s"] = result.read_rate / 1e9;
  json["multiply_add_gflop_per_s"] = result.multiply_add_rate / 1e9;
  json["floor_ms"] = 1e3 * result.floor_seconds;
  json["floor_tokens_per_second"] = result.tokens / result.floor_seconds;
  json["ratio"] = result.seconds / result.floor_seconds;
  if (options.bench.profile) json["profile"] = profile_json(result);
  return json;
}

void print_profile(const Json& profile) {
  constexpr size_t kShown = 8;
  std::cout << fmt::format("\n{:<24}{:>10}{:>12}{:>9}\n", "operation", "calls", "ms", "share");
  for (size_t i = 0; i < std::min(kShown, profile.size()); ++i) {
    const Json& line = profile[i];
    std::cout << fmt::format("{:<24}{:>10}{:>12.2f}{:>8.1f}%\n", line["op"].get<std::string>(),
                             line["calls"].get<int64_t>(), line["ms"].get<double>(),
                             100 * line["share"].get<double>());
  }
}

void print_result(const SpeedOptions& options, const BenchResult& result) {
  const BenchOptions& bench = options.bench;
  const std::string what =
      options.decode
          ? fmt::format("{} tokens behind {}, {} drafts a step, {:.2f} tokens a step", bench.tokens,
                        bench.context, result.drafts, result.tokens / result.steps)
          : fmt::format("a prompt of {} tokens in {:.0f} steps", bench.tokens, result.steps);
  std::cout << fmt::format("{}, {}\n{} thread{}, {}; median of {} runs\n\n", result.model, what,
                           result.threads, result.threads == 1 ? "" : "s",
                           ops::simd::instruction_set(), bench.runs);
  std::cout << fmt::format("{:<12}{:>12}{:>16}\n", "", "ms a step", "tokens/s");
  const auto line = [&](std::string_view name, double seconds) {
    std::cout << fmt::format("{:<12}{:>12.3f}{:>16.1f}\n", name, 1e3 * seconds / result.steps,
                             result.tokens / seconds);
  };
  line("measured", result.seconds);
  line("floor", result.floor_seconds);
  std::cout << fmt::format("{:<12}{:>12.2f}\n\n", "ratio", result.seconds / result.floor_seconds);
  std::cout << fmt::format(
      "A step reads {} and does {:.1f} MFLOP; these threads read {:.1f} GB/s of as many bytes\n"
      "and do {:.1f} GFLOP/s. Loading took {:.1f} ms.\n",
      bytes_text(static_cast<int64_t>(result.work.bytes / result.steps)),
      result.work.operations / result.steps / 1e6, result.read_rate / 1e9,
      result.multiply_add_rate / 1e9, result.load_ms);
  if (bench.profile) print_profile(profile_json(result));
}

Result<void> run_speed(const SpeedOptions& options) {
  if (!options.csv.empty()) {
    RETURN_IF_ERROR(check_rows_file(options.csv));
  }
  ASSIGN_OR_RETURN(const BenchResult result,
                   options.decode ? bench_decode(options.bench) : bench_prefill(options.bench));
  if (options.json) {
    std::cout << dump_json(result_json(options, result)) << '\n';
  } else {
    print_result(options, result);
  }
  RETURN_IF_ERROR(flush_output());
  return options.csv.empty() ? Result<void>() : append_rows(options.csv, rows_of(options, result));
}

// Drafts that no drafter makes are wrong usage, which only its config can tell.
Result<bool> drafts_fit(const BenchOptions& options) {
  const int32_t drafts = options.drafts.value_or(0);
  if (drafts == 0) return true;
  if (options.drafter.empty()) return false;
  ASSIGN_OR_RETURN(const int32_t block, drafter_block(options.drafter));
  return drafts < block;
}

int run_checked(const SpeedOptions& options) {
  const Result<bool> fit = drafts_fit(options.bench);
  if (!fit.ok()) return report(fit.error());
  if (!*fit) {
    std::fprintf(stderr, "gallop: --spec-tokens: %s\n",
                 options.bench.drafter.empty() ? "drafts need a --drafter"
                                               : "more than the drafter's block allows");
    return 2;
  }
  return report(run_speed(options));
}

Result<void> run_plot(const PlotOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<BenchRow> rows, read_rows(options.csv));
  const Result<std::string> picture = plot_rows(rows);
  if (!picture.ok()) {
    return Error{options.csv.string() + ": " + picture.error().message, picture.error().code};
  }
  return save_file(options.out, *picture);
}

void check_plot_usage(const PlotOptions& options) {
  std::error_code ignored;
  if (std::filesystem::equivalent(options.csv, options.out, ignored)) {
    refuse_usage("out", "is the CSV file itself");
  }
}

int32_t drafts_value(const std::string& text) {
  if (text == "off") return 0;
  const auto drafts = whole_number<int32_t>(text);
  if (!drafts || *drafts < 0) {
    refuse_usage("--spec-tokens", "must be a number of drafts or off, found '" + text + "'");
  }
  return *drafts;
}

constexpr int32_t kMostTokens = 1 << 24;

void add_common_options(Command& command, SpeedOptions& options) {
  BenchOptions& bench = options.bench;
  command.option("--model", bench.model, "Checkpoint directory").required();
  command.option("--threads", bench.threads, "CPU threads (default: the usable cores)")
      .range(1, 4096);
  command.option("--runs", bench.runs, "Timed runs, of which the median counts")
      .range(1, 1000)
      .show_default();
  command.option("--csv", options.csv, "File to append the results to");
  command.flag("--profile", bench.profile, "Also the time of each kind of operation");
  command.flag("--json", options.json, "One JSON object");
}

void add_decode(Command& bench) {
  auto options = std::make_shared<SpeedOptions>();
  options->decode = true;
  options->bench.tokens = 128;
  options->bench.context = 512;
  Command command = bench.command("decode", "Tokens after a context, one sequence");
  add_common_options(command, *options);
  command.option("--drafter", options->bench.drafter, "DFlash drafter directory");
  command.option("--tokens", options->bench.tokens, "Tokens to decode")
      .range(1, kMostTokens)
      .show_default();
  command.option("--context", options->bench.context, "Random prompt tokens before them")
      .range(1, kMostTokens)
      .show_default();
  command.option(
      "--spec-tokens",
      [options](const std::string& text) { options->bench.drafts = drafts_value(text); },
      "Drafts a step, or off (default: as many as the drafter allows)");
  command.runs([options] { return run_checked(*options); });
}

void add_prefill(Command& bench) {
  auto options = std::make_shared<SpeedOptions>();
  options->bench.tokens = 512;
  Command command = bench.command("prefill", "A random prompt, to its first token");
  add_common_options(command, *options);
  command.option("--drafter", options->bench.drafter,
                 "DFlash drafter directory: the prompt becomes its context too");
  command.option("--tokens", options->bench.tokens, "Tokens of the prompt")
      .range(1, kMostTokens)
      .show_default();
  command.option("--chunk", options->bench.chunk, "Most of them in a step")
      .range(1, 1 << 20)
      .show_default();
  command.runs([options] { return run_checked(*options); });
}

void add_plot(Command& bench) {
  auto options = std::make_shared<PlotOptions>();
  Command command = bench.command("plot", "Draw the results of a CSV file");
  command.option("csv", options->csv, "What --csv wrote").required();
  command.option("out", options->out, "The SVG file to write").required();
  command.runs([options] { return report(run_plot(*options)); },
               [options] { check_plot_usage(*options); });
}

}  // namespace

void add_bench_command(Command& root) {
  Command bench = root.command("bench", "Speeds beside their floors, and plots of them");
  bench.require_command();
  add_decode(bench);
  add_prefill(bench);
  add_plot(bench);
}

}  // namespace gallop::cli
