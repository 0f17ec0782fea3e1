#include <cstdio>

#include "commands.h"
#include "mugato/data/minari_writer.h"
#include "mugato/run/run.h"

namespace mugato::program {
namespace {

void make(const data::MinariRecording& recording) {
  const run::Registries registries;
  const auto world = registries.environments.build(recording.world);
  const auto totals = data::write_minari(*world, recording);
  std::printf("%s: %lld episodes of %s, %lld timesteps, mean return %.3f\n", recording.folder.c_str(),
              static_cast<long long>(recording.num_episodes), recording.world.c_str(), static_cast<long long>(totals.num_steps),
              totals.mean_return);
}

}  // namespace

void add_data_make(CLI::App& data) {
  auto* command = data.add_subcommand("make", "Record a world's expert as a Minari data set, which Python's minari reads, too");
  auto recording = std::make_shared<data::MinariRecording>();
  command->add_option("--env", recording->world, "a world: four_rooms, point_maze, shapes_qa")->required();
  command->add_option("--episodes", recording->num_episodes, "how many")->check(CLI::PositiveNumber)->required();
  command->add_option("--out", recording->folder, "folder of the data set; it must not be there")->required();
  command->add_option("--seed", recording->first_seed, "number of the first training seed")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->callback([recording] { make(*recording); });
}

}  // namespace mugato::program
