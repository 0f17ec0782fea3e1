#include <csignal>
#include <cstdio>

#include "commands.h"
#include "mugato/run/run.h"

namespace mugato::program {
namespace {

struct TrainArguments {
  std::string config;
  std::vector<std::string> assignments;
  bool resume = false;
};

void train(const TrainArguments& arguments, int& exit_code) {
  const run::Registries registries;
  const auto config = run::read_config(arguments.config, arguments.assignments);
  const auto result = run::train(config, registries, arguments.resume);
  if (result.signal != 0)
    std::fprintf(stderr, "stopped at step %lld and saved; continue with --resume\n", static_cast<long long>(result.step));
  else std::fprintf(stderr, "trained to step %lld: %s\n", static_cast<long long>(result.step), config.out.c_str());
  if (result.signal == SIGINT) exit_code = 130;
}

}  // namespace

void add_train(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("train", "Train an agent by a configuration file");
  auto arguments = std::make_shared<TrainArguments>();
  command->add_option("CONFIG", arguments->config, "TOML file; configs/ holds one per job")->required();
  command->add_flag("--resume", arguments->resume, "continue from the newest complete checkpoint of run.out");
  command->add_option("--set", arguments->assignments, "change a key: --set train.steps=500")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  run::RunConfig defaults;
  command->footer("Keys of the configuration:\n" + run::keys_of(defaults).help());
  command->callback([arguments, &exit_code] { train(*arguments, exit_code); });
}

}  // namespace mugato::program
