#include "mugato/run/run.h"

namespace mugato::run {

Registries::Registries() {
  register_builtins(sequence_models);
  env::register_builtins(environments);
  data::register_builtins(sources, environments);
}

void Registries::add_world(const std::string& name, const env::EnvironmentRegistry::Builder& builder) {
  environments.add(name, builder);
  data::add_world(sources, name, builder);
}

}  // namespace mugato::run
