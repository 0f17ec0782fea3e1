// A configuration file or a trained run, whichever a path names, to be looked at: of a configuration, parameters have shapes
// alone.
#pragma once

#include <filesystem>

#include "mugato/run/run.h"

namespace mugato::program {

inline run::Parts load_config_or_run(const std::string& path, const run::Registries& registries,
                                     const std::vector<std::string>& assignments) {
  if (std::filesystem::is_directory(path)) return run::Parts::load(path, registries, assignments);
  return run::Parts::shapes(run::read_config(path, assignments), registries);
}

}  // namespace mugato::program
