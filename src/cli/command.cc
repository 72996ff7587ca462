#include "cli/command.h"

#include <iostream>
#include <utility>

#include <CLI/CLI.hpp>

#include "cli/report.h"

namespace gallop::cli {

void refuse_usage(const std::string& flag, const std::string& message) {
  throw CLI::ValidationError(flag, message);
}

Option& Option::required() {
  option_->required();
  return *this;
}

Option& Option::show_default() {
  option_->capture_default_str();
  return *this;
}

Option& Option::range(int64_t least, int64_t most) {
  option_->check(CLI::Range(least, most));
  return *this;
}

Option& Option::one_of(std::vector<std::string> words) {
  option_->check(CLI::IsMember(std::move(words)));
  return *this;
}

Option& Option::one_of_any_case(std::vector<std::string> words) {
  option_->transform(CLI::IsMember(std::move(words), CLI::ignore_case));
  return *this;
}

Option& Option::check(std::function<std::string(const std::string&)> wrong, std::string kind) {
  option_->check(
      CLI::Validator([wrong = std::move(wrong)](const std::string& text) { return wrong(text); },
                     std::move(kind)));
  return *this;
}

Option& Option::needs(const Option& other) {
  option_->needs(other.option_);
  return *this;
}

Option& Option::excludes(const Option& other) {
  option_->excludes(other.option_);
  return *this;
}

Command Command::command(const std::string& name, const std::string& help) {
  return {*app_->add_subcommand(name, help), *chosen_};
}

void Command::require_command() {
  app_->require_subcommand(0, 1);  // so that an unknown one is named
  app_->final_callback([app = app_] {
    if (app->get_subcommands().empty()) throw CLI::RequiredError("A subcommand");
  });
}

Option Command::option(const std::string& names, std::string& value, const std::string& help) {
  return Option(app_->add_option(names, value, help));
}

Option Command::option(const std::string& names, std::filesystem::path& value,
                       const std::string& help) {
  const auto wrong = [](const std::string& text) {
    return std::string(text.empty() ? "must be a path, found ''" : "");
  };
  return Option(app_->add_option(names, value, help)).check(wrong, "");
}

Option Command::option(const std::string& names, uint16_t& value, const std::string& help) {
  return Option(app_->add_option(names, value, help));
}

Option Command::option(const std::string& names, int32_t& value, const std::string& help) {
  return Option(app_->add_option(names, value, help));
}

Option Command::option(const std::string& names, double& value, const std::string& help) {
  return Option(app_->add_option(names, value, help));
}

Option Command::option(const std::string& names, std::vector<std::string>& values,
                       const std::string& help) {
  return Option(app_->add_option(names, values, help));
}

Option Command::option(const std::string& names, std::function<void(const std::string&)> read,
                       const std::string& help) {
  return Option(app_->add_option_function<std::string>(names, read, help));
}

void Command::flag(const std::string& name, bool& value, const std::string& help) {
  app_->add_flag(name, value, help);
}

void Command::flag(const std::string& name, std::function<void()> seen, const std::string& help) {
  app_->add_flag_callback(name, std::move(seen), help);
}

size_t Command::count(const std::string& flag) const { return app_->count(flag); }

void Command::runs(Action action, std::function<void()> check) {
  app_->callback([chosen = chosen_, action = std::move(action), check = std::move(check)] {
    if (check) check();
    *chosen = action;
  });
}

CommandLine::CommandLine(const std::string& help, const std::string& version)
    : app_(std::make_unique<CLI::App>(help)), root_(*app_, chosen_) {
  app_->set_version_flag("--version", version);
  app_->require_subcommand(0, 1);  // so that an unknown one is named; none prints the help
}

CommandLine::~CommandLine() = default;

std::variant<int, Action> CommandLine::parse(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app_->exit(error) == 0 ? 0 : 2;
    const int printed = report(flush_output());
    return printed == 0 ? code : printed;
  }
  if (chosen_) return chosen_;
  std::cerr << app_->help();
  return 2;
}

}  // namespace gallop::cli
