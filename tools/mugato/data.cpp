#include "commands.h"

namespace mugato::program {

void add_data(CLI::App& app, int& exit_code) {
  auto* data = app.add_subcommand("data", "Look at data");
  data->require_subcommand(1);
  add_data_sources(*data);
  add_data_inspect(*data);
  add_data_stats(*data);
  add_data_lint(*data, exit_code);
  add_data_digest(*data);
  add_data_make(*data);
}

}  // namespace mugato::program
