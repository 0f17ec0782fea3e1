#include <cstdio>

#include "commands.h"
#include "load.h"
#include "mugato/core/text.h"

namespace mugato::program {
namespace {

int64_t count_parameters(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

void info(const std::string& path, const std::vector<std::string>& assignments) {
  const run::Registries registries;
  auto parts = load_config_or_run(path, registries, assignments);
  const auto& vocabulary = parts.tokenizer->vocabulary();
  const auto row = [](const char* name, const std::string& value) { std::printf("%-14s %s\n", name, value.c_str()); };
  if (!parts.checkpoint.empty()) row("checkpoint", parts.checkpoint.string() + ", step " + std::to_string(parts.step));
  row("parameters", std::to_string(count_parameters(*parts.agent)) + " (embedder " +
                        std::to_string(count_parameters(parts.agent->embedder())) + ", trunk " +
                        std::to_string(count_parameters(parts.agent->trunk())) + ")");
  row("trunk", parts.config.model.agent.trunk + ", " + std::to_string(parts.agent->trunk().num_blocks()) + " blocks, width " +
                   std::to_string(parts.agent->trunk().width()));
  row("vocabulary", std::to_string(vocabulary.size()) + " ids: text [0, " + std::to_string(vocabulary.text().size) +
                        "), continuous [" + std::to_string(vocabulary.continuous().begin) + ", " +
                        std::to_string(vocabulary.continuous().begin + vocabulary.continuous().size) + "), discrete [" +
                        std::to_string(vocabulary.discrete().begin) + ", " +
                        std::to_string(vocabulary.discrete().begin + vocabulary.discrete().size) + "), separator " +
                        std::to_string(vocabulary.separator()) + ", end " + std::to_string(vocabulary.end()));
  row("a step", std::to_string(parts.config.train.rows) + " rows of " + std::to_string(parts.config.train.context) + " slots");
  row("data", comma_separated(parts.config.data, &data::DataEntry::domain));
  for (const auto& [domain, facts] : parts.facts)
    if (facts.episodes != data::Source::kUnbounded)
      row("", domain + ": trained on " + std::to_string(facts.episodes) + " of " + std::to_string(facts.found) + " episodes");
}

}  // namespace

void add_info(CLI::App& app) {
  auto* command = app.add_subcommand("info", "What a configuration or a trained run is: parameters, vocabulary, data");
  auto path = std::make_shared<std::string>();
  auto assignments = std::make_shared<std::vector<std::string>>();
  command->add_option("CONFIG|RUN", *path, "configuration file, folder of a run, or a checkpoint")->required();
  command->add_option("--set", *assignments, "change a key of the configuration; of a run, run.device")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->callback([path, assignments] { info(*path, *assignments); });
}

}  // namespace mugato::program
