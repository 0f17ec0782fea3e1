#include "data_choice.h"

#include "load.h"
#include "mugato/core/error.h"
#include "mugato/data/detect.h"
#include "mugato/data/opening.h"

namespace mugato::program {
namespace {

bool is_configuration(const std::string& what) {
  return what.ends_with(".toml") || std::filesystem::exists(std::filesystem::path(what) / "config.toml");
}

// A configuration of its own for a path or a source's name; assignments are keys of its one entry: "text=caption".
run::RunConfig config_of(const DataChoice& choice, const run::Registries& registries) {
  data::DataEntry entry;
  if (registries.sources.has(choice.what)) {
    entry.source = choice.what;
  } else {
    entry.reading.path = choice.what;
    entry.source = choice.source.empty() ? data::detect_source(choice.what) : choice.source;
  }
  run::RunConfig config;
  config.data = {entry};
  KeyTable keys;
  data::declare(keys, "", config.data.front());
  keys.add("tokens.text", &config.tokens.text, "the text tokenizer");
  for (const auto& assignment : choice.assignments) keys.set(assignment);
  keys.validate();
  return config;
}

}  // namespace

void add_choice(CLI::App& command, DataChoice& choice) {
  command.add_option("WHAT", choice.what, "configuration, folder of a run, path of data, or name of a source")->required();
  command.add_option("--source", choice.source, "of a configuration, the name of one [[data]] entry; of a path, its format");
  command.add_option("--episodes", choice.episodes, "read at most so many of a source; all by default, 1000 of an endless one")
      ->check(CLI::PositiveNumber);
  command
      .add_option(
          "--set", choice.assignments,
          "change a key: of a configuration as in mugato train; of a path or a source, a key of its entry, or tokens.text")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

ChosenData choose(const DataChoice& choice, const run::Registries& registries, View view) {
  const bool configured = is_configuration(choice.what);
  ChosenData chosen{configured ? load_config_or_run(choice.what, registries, choice.assignments)
                               : run::Parts::shapes(config_of(choice, registries), registries),
                    {}};
  const auto& entries = chosen.parts.config.data;
  for (auto entry : entries) {
    if (configured && !choice.source.empty() && entry.domain() != choice.source) continue;
    if (registries.sources.has(entry.source) && registries.sources.help(entry.source).takes("held_out"))
      entry.reading.held_out = 0.0;
    std::shared_ptr<const data::Source> source;
    if (auto facts = chosen.parts.facts_of(entry.domain()); view == View::kTrained)
      source = data::open_training(registries.sources, entry, facts);
    else source = data::build_source(registries.sources, entry, data::Split::kTrain);
    const bool endless = source->size() == data::Source::kUnbounded;
    const int64_t most = choice.episodes > 0 ? choice.episodes : endless ? DataChoice::kEndless : source->size();
    const int64_t num_episodes = std::min(most, source->size());
    chosen.sources.push_back({std::move(entry), std::move(source), num_episodes});
  }
  if (chosen.sources.empty())
    throw Error("the configuration has no [[data]] entry '" + choice.source + "'",
                "it has: " + comma_separated(entries, &data::DataEntry::domain));
  return chosen;
}

}  // namespace mugato::program
