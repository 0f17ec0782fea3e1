#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "load.h"
#include "mugato/core/files.h"
#include "mugato/env/pictures.h"
#include "mugato/run/evaluate.h"

namespace mugato::program {
namespace {

struct RolloutArguments {
  std::string run, world, gif, png;
  int64_t episodes = 100, first_seed = 0;
  bool json = false;
  std::vector<std::string> assignments;
};

constexpr size_t kPictured = 3;  // episodes in an animation
constexpr size_t kHeld = 3;      // times that an animation shows an episode's last frame again, so that its end is seen

void write_pictures(const RolloutArguments& arguments, const std::vector<std::vector<at::Tensor>>& frames) {
  std::vector<at::Tensor> strip, film;
  for (const auto& episode : frames) {
    strip.insert(strip.end(), episode.begin(), episode.end());
    film.insert(film.end(), episode.begin(), episode.end());
    if (!episode.empty()) film.insert(film.end(), kHeld, episode.back());
  }
  if (!arguments.gif.empty()) env::write_gif(arguments.gif, film, 300);
  if (!arguments.png.empty()) env::write_png(arguments.png, env::filmstrip(strip, 6));
}

void print_table(const std::string& world, const act::Scores& scores) {
  std::printf("%-14s %lld episodes\n", world.c_str(), static_cast<long long>(scores.episodes));
  std::printf("%-14s %.1f%%\n", "success", 100.0 * scores.success);
  std::printf("%-14s %.3f\n", "mean return", scores.mean_return);
  std::printf("%-14s %.1f steps\n", "mean length", scores.mean_length);
  std::printf("%-14s %.1f  [%.1f, %.1f] (0 = random, 100 = expert; 95%% interval)\n", "normalized", scores.normalized,
              scores.interval.low, scores.interval.high);
}

void rollout(const RolloutArguments& arguments) {
  for (const auto& path : {arguments.gif, arguments.png})
    if (!path.empty()) check_writable(path);
  const run::Registries registries;
  const auto parts = run::Parts::load(arguments.run, registries, arguments.assignments);
  std::vector<std::vector<at::Tensor>> frames(kPictured);
  const bool pictures = !arguments.gif.empty() || !arguments.png.empty();
  const auto result = run::play(parts, registries, arguments.world, arguments.episodes, arguments.first_seed,
                                [&](size_t episode, const env::Environment& world) {
                                  if (pictures && episode < kPictured) frames[episode].push_back(world.picture());
                                });
  if (pictures) write_pictures(arguments, frames);
  const auto& scores = result.scores;
  if (!arguments.json) return print_table(arguments.world, scores);
  std::printf("%s\n", nlohmann::json{{"env", arguments.world},
                                     {"episodes", scores.episodes},
                                     {"success", scores.success},
                                     {"return", scores.mean_return},
                                     {"length", scores.mean_length},
                                     {"normalized", scores.normalized},
                                     {"low", scores.interval.low},
                                     {"high", scores.interval.high}}
                          .dump(2)
                          .c_str());
}

}  // namespace

void add_rollout(CLI::App& app) {
  auto* command = app.add_subcommand("rollout", "Let a trained run act in a world, and score it");
  auto arguments = std::make_shared<RolloutArguments>();
  command->add_option("RUN", arguments->run, "folder of the run, or one of its checkpoints")->required();
  command
      ->add_option("--env", arguments->world,
                   "a world that the run was trained in: four_rooms, ..., or the name of a [[data]] entry")
      ->required();
  command->add_option("--episodes", arguments->episodes, "how many")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--first-seed", arguments->first_seed, "number of the first evaluation seed")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--gif", arguments->gif, "animation of the first three episodes");
  command->add_option("--png", arguments->png, "filmstrip of the first three episodes");
  command->add_flag("--json", arguments->json, "print JSON instead of the table");
  command->add_option("--set", arguments->assignments, settable_help())->type_name("KEY=VALUE")->allow_extra_args(false);
  command->callback([arguments] { rollout(*arguments); });
}

}  // namespace mugato::program
