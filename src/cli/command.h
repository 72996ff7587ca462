// The command line: commands, their options and what each runs. CLI11 stays behind command.cc: a
// file that makes its App costs 12 seconds of compilation, under sanitizers 30. What an option is
// read into must outlive the parsing. A command line that is wrong ends with exit code 2 and a
// message; nothing has run then.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace gallop::cli {

// For what reads or checks option values, called within the parsing: ends it with this message.
[[noreturn]] void refuse_usage(const std::string& flag, const std::string& message);

// A declared option; each call narrows it.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option& required();
  Option& show_default();  // in the help
  Option& range(int64_t least, int64_t most);
  Option& one_of(std::vector<std::string> words);
  Option& one_of_any_case(std::vector<std::string> words);  // the value becomes the listed word
  // `wrong` returns what is wrong with a value, or nothing; `kind` names values in the help.
  Option& check(std::function<std::string(const std::string&)> wrong, std::string kind);
  Option& needs(const Option& other);
  Option& excludes(const Option& other);

 private:
  CLI::Option* option_;
};

// What the chosen command does; it returns the exit code.
using Action = std::function<int()>;

class Command {
 public:
  Command(CLI::App& app, Action& chosen) : app_(&app), chosen_(&chosen) {}

  Command command(const std::string& name, const std::string& help);
  void require_command();  // one of its own is needed

  // `names` are "--flag", "positional", or several with commas between them. A path is never empty:
  // an unset variable of a shell must not count as an option that was not given.
  Option option(const std::string& names, std::string& value, const std::string& help);
  Option option(const std::string& names, std::filesystem::path& value, const std::string& help);
  Option option(const std::string& names, uint16_t& value, const std::string& help);
  Option option(const std::string& names, int32_t& value, const std::string& help);
  Option option(const std::string& names, double& value, const std::string& help);
  Option option(const std::string& names, std::vector<std::string>& values,
                const std::string& help);
  // `read` may refuse the text by refuse_usage.
  Option option(const std::string& names, std::function<void(const std::string&)> read,
                const std::string& help);
  void flag(const std::string& name, bool& value, const std::string& help);
  void flag(const std::string& name, std::function<void()> seen, const std::string& help);

  // How often `flag` was given.
  size_t count(const std::string& flag) const;

  // `check`, if any, sees the values of all options before `action` is chosen.
  void runs(Action action, std::function<void()> check = {});

 private:
  CLI::App* app_;
  Action* chosen_;
};

class CommandLine {
 public:
  CommandLine(const std::string& help, const std::string& version);
  ~CommandLine();

  Command& root() { return root_; }
  // What to run; or, where the help, the version or an error was printed, the exit code.
  std::variant<int, Action> parse(int argc, char** argv);

 private:
  std::unique_ptr<CLI::App> app_;
  Action chosen_;
  Command root_;
};

}  // namespace gallop::cli
