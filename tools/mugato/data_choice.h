// The data that a command of `mugato data` looks at: every [[data]] entry of a configuration, one of them, a path, or a
// source's name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "mugato/run/run.h"

namespace mugato::program {

struct DataChoice {
  std::string what;    // CONFIG, RUN, PATH or a source's name
  std::string source;  // the entry's name in CONFIG; the format of PATH
  std::vector<std::string> assignments;
  int64_t episodes = 0;  // at most so many of each source; 0: all, or kEndless of a generator

  static constexpr int64_t kEndless = 1000;
};

// Adds the argument and the options that fill `choice`.
void add_choice(CLI::App& command, DataChoice& choice);

// One source of the choice, whole: nothing is held out.
struct ChosenSource {
  data::DataEntry entry;
  std::shared_ptr<const data::Source> source;
  int64_t num_episodes;  // how many to read
};

struct ChosenData {
  run::Parts parts;
  std::vector<ChosenSource> sources;
};

// kFound: what the source holds. kTrained: what training makes of it, episodes chosen by their return, images resized, the
// reward among the fields, ranges measured; those of a run are the run's.
enum class View { kFound, kTrained };
ChosenData choose(const DataChoice& choice, const run::Registries& registries, View view);

}  // namespace mugato::program
