// Data of one's own as a Source, mixed with a built-in world and trained on for ten steps.
#include <cstdio>

#include "mugato/core/random.h"
#include "mugato/run/evaluate.h"
#include "mugato/run/run.h"

// A thermostat: a camera picture and a temperature are read, a heater is set. An episode is six timesteps.
class Thermostat : public mugato::data::Source {
 public:
  explicit Thermostat(mugato::data::Split split) : split_(split) {
    using enum mugato::Modality;
    schema_.fields = {
        {.name = "camera", .modality = kImage, .shape = {32, 32, 3}},
        {.name = "celsius", .modality = kContinuous, .low = {-20.0}, .high = {40.0}},
        {.name = "heater", .modality = kDiscrete, .role = mugato::Role::kAction, .num_values = {2}},
    };
  }

  const mugato::Schema& schema() const override { return schema_; }
  int64_t size() const override { return 1000; }

  // The same index always gives the same episode: read a file here, or make it up as we do.
  mugato::Episode get(int64_t index) const override {
    mugato::Random random(mugato::hash_key(split_ == mugato::data::Split::kTrain ? 1 : 2, index));
    constexpr int64_t kSteps = 6;
    const auto camera = at::full({kSteps, 32, 32, 3}, random.between(0, 255), at::kByte);
    auto celsius = at::empty({kSteps}, at::kFloat);
    for (int64_t e = 0; e < kSteps; ++e) celsius[e] = random.uniform(10.0, 30.0);
    const auto heater = (celsius < 20.0).to(at::kLong);
    return {.fields = {{camera, {}}, {celsius, {}}, {heater, {}}},  // parallel to the schema
            .num_steps = kSteps,
            .id = "thermostat episode " + std::to_string(index)};
  }

 private:
  mugato::data::Split split_;
  mugato::Schema schema_;
};

int main(int, char** argv) {
  mugato::run::Registries registries;
  registries.sources.add("thermostat", [](const auto&, auto split) { return std::make_unique<Thermostat>(split); });

  const auto config =
      mugato::run::parse_config(R"(
model.preset = "tiny"
train = {steps = 10, rows = 2, context = 256}
optim.warmup = 2
[[data]]
source = "thermostat"
[[data]]
source = "point_maze"
weight = 0.5
max_steps = 4
)",
                                "own_data.cpp", {std::string("tokens.text=") + argv[1], std::string("run.out=") + argv[2]});
  const auto loss = [&](const auto& parts) { return mugato::run::held_out_losses(parts, registries, 8).at("loss/thermostat"); };
  const double before = loss(mugato::run::Parts::build(config, registries));
  mugato::run::train(config, registries, /*resume=*/false);
  const double after = loss(mugato::run::Parts::load(config.out, registries));
  std::printf("thermostat: %.3f nats an action before, %.3f after ten steps\n", before, after);
  return std::isfinite(after) && after < before ? 0 : 1;
}
