// A configuration file or a trained run, whichever a path names, to be looked at: of a configuration, parameters have shapes
// alone.
#pragma once

#include <filesystem>

#include "mugato/core/text.h"
#include "mugato/run/run.h"

namespace mugato::program {

inline run::Parts load_config_or_run(const std::string& path, const run::Registries& registries,
                                     const std::vector<std::string>& assignments) {
  if (std::filesystem::is_directory(path)) {
    auto parts = run::Parts::load(path, registries, assignments);
    run::check_settable(assignments, {"run.device"});  // nobody acts here
    return parts;
  }
  return run::Parts::shapes(run::read_config(path, assignments), registries);
}

inline std::string settable_help() { return "change a key of the run: " + comma_separated(run::settable_keys()); }

}  // namespace mugato::program
