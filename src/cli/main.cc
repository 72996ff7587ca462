// The program: picks a command, runs it, returns its exit code (0 done, 1 failed, 2 wrong usage).
#include <csignal>
#include <exception>
#include <functional>
#include <iostream>
#include <new>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/bench.h"
#include "cli/doctor.h"
#include "cli/environment.h"
#include "cli/generate.h"
#include "cli/inspect.h"
#include "cli/make_model.h"
#include "cli/render.h"
#include "cli/report.h"
#include "cli/score.h"
#include "cli/serve.h"
#include "cli/tokenize.h"
#include "cli/version.h"
#include "ops/cpu/instruction_set.h"

namespace {

gallop::Result<void> limit_instruction_set() {
  const std::string name = gallop::cli::environment_instruction_set();
  if (name.empty()) return {};
  gallop::Result<void> limited = gallop::ops::limit_instruction_set(name);
  if (limited.ok()) return limited;
  return gallop::Error{"GALLOP_INSTRUCTION_SET: " + limited.error().message};
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);  // a failed read of stdin is an error then, not its end
  CLI::App app("gallop: inference server for the Qwen3.5 hybrid models");
  app.set_version_flag("--version", gallop::cli::version_line());
  app.require_subcommand(0, 1);  // so that an unknown one is named; see below for none
  std::function<int()> action;
  gallop::cli::add_serve_command(app, action);
  gallop::cli::add_generate_command(app, action);
  gallop::cli::add_score_command(app, action);
  gallop::cli::add_tokenize_command(app, action);
  gallop::cli::add_render_command(app, action);
  gallop::cli::add_make_model_command(app, action);
  gallop::cli::add_inspect_command(app, action);
  gallop::cli::add_doctor_command(app, action);
  gallop::cli::add_bench_command(app, action);
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is a failed write, with a message
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error) == 0 ? 0 : 2;
    return std::cout.flush() ? code : 1;
  }
  if (!action) {
    std::cerr << app.help();
    return 2;
  }
  try {
    if (const gallop::Result<void> limited = limit_instruction_set(); !limited.ok()) {
      return gallop::cli::report(limited);
    }
    return action();
  } catch (const std::bad_alloc&) {
    return gallop::cli::report(gallop::Error{"out of memory"});
  } catch (const std::exception& error) {  // no thread; all else is a Result
    return gallop::cli::report(gallop::Error{error.what()});
  }
}
