// The program: picks a command, runs it, returns its exit code (0 done, 1 failed, 2 wrong usage).
#include <csignal>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <variant>

#include "cli/bench.h"
#include "cli/command.h"
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
  gallop::cli::CommandLine line("gallop: inference server for the Qwen3.5 hybrid models",
                                gallop::cli::version_line());
  gallop::cli::add_serve_command(line.root());
  gallop::cli::add_generate_command(line.root());
  gallop::cli::add_score_command(line.root());
  gallop::cli::add_tokenize_command(line.root());
  gallop::cli::add_render_command(line.root());
  gallop::cli::add_make_model_command(line.root());
  gallop::cli::add_inspect_command(line.root());
  gallop::cli::add_doctor_command(line.root());
  gallop::cli::add_bench_command(line.root());
  // A reader that goes away, a file that reaches its limit: a failed write, with a message.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  const auto parsed = line.parse(argc, argv);
  if (const int* code = std::get_if<int>(&parsed)) return *code;
  try {
    if (const gallop::Result<void> limited = limit_instruction_set(); !limited.ok()) {
      return gallop::cli::report(limited);
    }
    return std::get<gallop::cli::Action>(parsed)();
  } catch (const std::bad_alloc&) {
    return gallop::cli::report(gallop::Error{"out of memory"});
  } catch (const std::exception& error) {  // no thread; all else is a Result
    return gallop::cli::report(gallop::Error{error.what()});
  }
}
