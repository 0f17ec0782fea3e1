#include <cstdio>

#include "commands.h"
#include "mugato/run/run.h"

namespace mugato::program {
namespace {

void print_sources() {
  const run::Registries registries;
  data::ReadingOptions options;
  KeyTable keys;
  declare(keys, "", options);
  const auto descriptions = keys.descriptions();
  for (const auto& name : registries.sources.names()) {
    const auto& help = registries.sources.help(name);
    std::printf("%s\n    %s\n", name.c_str(), help.summary.c_str());
    for (const auto& key : descriptions)
      if (help.takes(key.name))
        std::printf("    %-12s %s (default: %s)\n", key.name.c_str(), key.help.c_str(), key.default_value.c_str());
    std::printf("\n");
  }
  std::printf("Every [[data]] entry takes the other keys of `mugato train --help` as well.\n");
}

}  // namespace

void add_data_sources(CLI::App& data) {
  data.add_subcommand("sources", "What data can be read: the sources by name, each with its keys")->callback(print_sources);
}

}  // namespace mugato::program
