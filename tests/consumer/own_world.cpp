// A world of one's own: registered in one line, trained on for ten steps, played, and drawn.
#include <algorithm>
#include <cstdio>

#include "mugato/core/random.h"
#include "mugato/env/pictures.h"
#include "mugato/run/evaluate.h"
#include "mugato/run/run.h"

using mugato::Modality, mugato::Role;

// A corridor of eight places: one's own and the goal are read, left or right is written.
class Corridor : public mugato::env::Environment {
 public:
  static constexpr int64_t kPlaces = 8;

  const mugato::Schema& schema() const override { return schema_; }
  int64_t max_steps() const override { return 12; }

  mugato::Observation reset(uint64_t seed) override {
    mugato::Random random(mugato::hash_key(seed));
    time_ = 0;
    at_ = random.below(kPlaces);
    goal_ = (at_ + random.between(1, kPlaces - 1)) % kPlaces;
    return observe();
  }

  mugato::env::StepResult step(const mugato::Action& action) override {
    const int64_t move = std::get<at::Tensor>(action.at("move")).item<int64_t>();
    at_ = std::clamp<int64_t>(at_ + (move == 0 ? -1 : 1), 0, kPlaces - 1);
    const bool arrived = at_ == goal_, done = arrived || ++time_ == max_steps();
    return {.observation = observe(), .reward = arrived ? 1.0 : 0.0, .done = done, .success = arrived};
  }

  // Makes the training data: demonstrations are its episodes.
  mugato::Action expert() override { return {{"move", at::full({}, goal_ > at_ ? 1 : 0, at::kLong)}}; }

  // The mean returns of random moves and of the expert: 0 and 100 of the normalised score.
  mugato::env::ReferenceScores reference_scores() const override { return {.random = 0.51, .expert = 1.0}; }

  // For people: (32,256,3), the goal green, one's own place white.
  at::Tensor picture() const override {
    auto picture = at::full({32, 32 * kPlaces, 3}, 40, at::kByte);
    picture.narrow(1, 32 * goal_, 32).select(2, 1).fill_(190);
    picture.narrow(1, 32 * at_ + 8, 16).narrow(0, 8, 16).fill_(255);
    return picture;
  }

 private:
  // A new tensor every time: what was handed out belongs to who took it.
  mugato::Observation observe() const { return {{"place", at::tensor({at_, goal_}, at::kLong)}}; }

  mugato::Schema schema_{{{.name = "place", .modality = Modality::kDiscrete, .shape = {2}, .num_values = {kPlaces}},
                          {.name = "move", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {2}}}};
  int64_t time_ = 0, at_ = 0, goal_ = 1;
};

int main(int, char** argv) {
  mugato::run::Registries registries;
  registries.add_world("corridor", [] { return std::make_unique<Corridor>(); });

  const auto config =
      mugato::run::parse_config(R"(
model.preset = "tiny"
train = {steps = 10, rows = 2, context = 64}
optim.warmup = 2
[[data]]
source = "corridor"
)",
                                "own_world.cpp", {std::string("tokens.text=") + argv[1], std::string("run.out=") + argv[2]});
  mugato::run::train(config, registries, /*resume=*/false);
  const auto parts = mugato::run::Parts::load(config.out, registries);
  std::vector<at::Tensor> frames;
  const auto film = [&](size_t, const mugato::env::Environment& world) { frames.push_back(world.picture()); };
  const auto result = mugato::run::play(parts, registries, "corridor", /*episodes=*/1, /*first=*/0, film);
  mugato::env::write_png(config.out + "/corridor.png", mugato::env::filmstrip(frames, /*columns=*/1));
  std::printf("corridor: %lld steps, return %g\n", static_cast<long long>(result.episodes[0].num_steps),
              result.episodes[0].total_return);
  return frames.size() > 1 ? 0 : 1;
}
