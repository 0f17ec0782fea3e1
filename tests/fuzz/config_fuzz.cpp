// A configuration in TOML, or an assignment as --set takes it.
#include "mugato/run/config.h"

#include "reading.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  const bool assigns = input.flag();
  const std::string text(input.rest());
  is_read([&] {
    const auto config =
        assigns ? run::parse_config("[[data]]\nsource = \"stories\"", "run.toml", {text}) : run::parse_config(text, "run.toml");
    // What is read is written, and read the same.
    auto copy = config;
    const auto written = run::keys_of(copy).to_toml();
    auto again = run::parse_config(written, "written");
    TORCH_CHECK(run::keys_of(again).to_toml() == written, written);
  });
}

}  // namespace mugato::fuzz
