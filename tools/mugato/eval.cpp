#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "load.h"
#include "mugato/core/files.h"
#include "mugato/env/shapes_qa.h"
#include "mugato/run/evaluate.h"

namespace mugato::program {
namespace {

struct EvalArguments {
  std::string run, out;
  int64_t episodes = 200;
  int64_t documents = 500;
  std::vector<std::string> assignments;
};

// The rows of the table: one per [[data]] entry from a world, with the figures that suit it.
nlohmann::json world_json(const run::Parts& parts, const run::Registries& registries, const data::DataEntry& entry,
                          const EvalArguments& arguments) {
  const std::string& world = entry.source;
  if (world == "stories") {
    const auto scores = run::score_stories(parts, arguments.documents);
    return {{"loss", scores.loss},
            {"entropy", scores.entropy},
            {"random", scores.random},
            {"loss_over_entropy", scores.loss_over_entropy()}};
  }
  const auto result = run::play(parts, registries, entry.domain(), arguments.episodes);
  if (world == "shapes_qa")
    return {{"accuracy", result.scores.success}, {"majority", registries.environments.build(world)->reference_scores().random}};
  return {{"normalized", result.scores.normalized}, {"success", result.scores.success},
          {"low", result.scores.interval.low},      {"high", result.scores.interval.high},
          {"episodes", result.scores.episodes},     {"length", result.scores.mean_length}};
}

void print_row(const std::string& world, const nlohmann::json& row) {
  std::printf("%-12s", world.c_str());
  for (const auto& [name, value] : row.items()) std::printf("  %s %.4g", name.c_str(), value.get<double>());
  std::printf("\n");
  std::fflush(stdout);
}

void eval(const EvalArguments& arguments) {
  if (!arguments.out.empty()) check_writable(arguments.out);
  const run::Registries registries;
  const auto parts = run::Parts::load(arguments.run, registries, arguments.assignments);
  nlohmann::json scores;
  for (const auto& entry : parts.config.data) {
    if (entry.source != "stories" && !registries.environments.has(entry.source)) continue;
    const auto row = world_json(parts, registries, entry, arguments);
    scores[entry.domain()] = row;
    print_row(entry.domain(), row);
  }
  const auto held_out = parts.sources(registries, data::Split::kEvaluation);
  for (const auto& line : run::lines_of_nothing_held_out(parts, held_out)) std::fprintf(stderr, "warning: %s\n", line.c_str());
  dist::Group alone;
  for (const auto& [name, value] : run::held_out_losses(parts, held_out, arguments.documents, alone))
    std::printf("%-28s %.4f\n", name.c_str(), value);
  if (!arguments.out.empty()) write_file_atomically(arguments.out, scores.dump(2) + "\n");
}

}  // namespace

void add_eval(CLI::App& app) {
  auto* command =
      app.add_subcommand("eval", "Score a trained run on held-out data and in the built-in worlds it was trained on");
  auto arguments = std::make_shared<EvalArguments>();
  command->add_option("RUN", arguments->run, "folder of the run, or one of its checkpoints")->required();
  command->add_option("--episodes", arguments->episodes, "episodes played per world")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--documents", arguments->documents, "held-out documents read per source")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--out", arguments->out, "write the scores as JSON to this file");
  command->add_option("--set", arguments->assignments, settable_help())->type_name("KEY=VALUE")->allow_extra_args(false);
  command->callback([arguments] { eval(*arguments); });
}

}  // namespace mugato::program
