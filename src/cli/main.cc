// The program: picks a command, runs it, returns its exit code (0 done, 1 failed, 2 wrong usage).
#include <csignal>
#include <exception>
#include <functional>
#include <iostream>
#include <new>

#include <CLI/CLI.hpp>

#include "cli/generate.h"
#include "cli/render.h"
#include "cli/report.h"
#include "cli/score.h"
#include "cli/serve.h"
#include "cli/tokenize.h"
#include "cli/version.h"

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
    return action();
  } catch (const std::bad_alloc&) {
    return gallop::cli::report(gallop::Error{"out of memory"});
  } catch (const std::exception& error) {  // no thread; all else is a Result
    return gallop::cli::report(gallop::Error{error.what()});
  }
}
