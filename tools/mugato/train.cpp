#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "commands.h"
#include "mugato/run/run.h"

namespace mugato::program {
namespace {

struct TrainArguments {
  std::string config;
  std::vector<std::string> assignments;
  bool resume = false;
};

// As a shell reads it back.
std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("_-./=:,+@%", c) != nullptr;
  });
  if (plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

std::string resuming_command(const std::string& program, const TrainArguments& arguments) {
  std::string command = quoted(program) + " train " + quoted(arguments.config);
  for (const auto& assignment : arguments.assignments) command += " --set " + quoted(assignment);
  return command + " --resume";
}

void train(const std::string& program, const TrainArguments& arguments, int& exit_code) {
  std::signal(SIGPIPE, SIG_IGN);  // who reads the progress may end first, as when a session is closed: save all the same
  const run::Registries registries;
  const auto config = run::read_config(arguments.config, arguments.assignments);
  const auto result = run::train(config, registries, arguments.resume);
  if (result.signal == SIGINT) exit_code = 130;
  if (result.rank != 0) return;
  if (result.signal != 0)
    std::fprintf(stderr, "mugato: stopped at step %lld and saved in %s\nhint: go on with %s\n",
                 static_cast<long long>(result.step), config.out.c_str(), resuming_command(program, arguments).c_str());
  else std::fprintf(stderr, "trained to step %lld: %s\n", static_cast<long long>(result.step), config.out.c_str());
}

}  // namespace

void add_train(CLI::App& app, const std::string& program, int& exit_code) {
  auto* command = app.add_subcommand("train", "Train an agent by a configuration file");
  auto arguments = std::make_shared<TrainArguments>();
  command->add_option("CONFIG", arguments->config, "TOML file; configs/ holds one per job")->required();
  command->add_flag("--resume", arguments->resume, "continue from the newest complete checkpoint of run.out");
  command->add_option("--set", arguments->assignments, "change a key: --set train.steps=500")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  run::RunConfig defaults;
  command->footer("Keys of the configuration:\n" + run::keys_of(defaults).help());
  command->callback([arguments, program, &exit_code] { train(program, *arguments, exit_code); });
}

}  // namespace mugato::program
