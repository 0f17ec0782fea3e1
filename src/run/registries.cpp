#include "mugato/run/run.h"

namespace mugato::run {

Registries::Registries() {
  register_builtins(sequence_models);
  env::register_builtins(environments);
  data::register_builtins(sources, environments);
}

}  // namespace mugato::run
