// A world that an agent acts in, one episode at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "mugato/core/random.h"
#include "mugato/core/registry.h"
#include "mugato/seq/episode.h"

namespace mugato::env {

struct StepResult {
  Observation observation;
  double reward = 0.0;
  bool done = false;
  bool success = false;  // meaningful when done
};

// Mean return of a policy that draws uniformly among valid actions, and of the built-in expert: 0 and 100 of a normalised
// score. Measured on the evaluation seeds by the test that holds them to the truth.
struct ReferenceScores {
  double random = 0.0;
  double expert = 1.0;
};

class Environment {
 public:
  virtual ~Environment() = default;

  virtual const Schema& schema() const = 0;

  // Starts an episode that is a pure function of the seed (the noise of the dynamics included).
  virtual Observation reset(uint64_t seed) = 0;

  // Throws Error when the action is missing, of another shape or not valid; TORCH_CHECK when the episode is over.
  virtual StepResult step(const Action& action) = 0;

  // What the built-in expert does in the present state. Reads the simulator's state, not only the observation.
  virtual Action expert() = 0;

  virtual int64_t max_steps() const = 0;
  virtual ReferenceScores reference_scores() const = 0;

  // A picture of the present state for people, uint8 (H,W,3), at least 256 pixels wide.
  virtual at::Tensor picture() const = 0;
};

// Training and evaluation episodes never share a seed: evaluation seeds have the top bit set.
constexpr uint64_t train_seed(uint64_t index) { return index & ~(1ULL << 63); }
constexpr uint64_t evaluation_seed(uint64_t index) { return index | (1ULL << 63); }

// An action drawn uniformly among the valid ones: discrete ids, continuous values in [low, high]. Text actions are not drawn.
class RandomPolicy {
 public:
  // Seeds are hashed: the draws of neighbouring seeds do not overlap, nor follow the world of the same seed.
  RandomPolicy(Schema schema, uint64_t seed) : schema_(std::move(schema)), random_(hash_key(seed, 0x706f6c696379)) {}
  Action act();

 private:
  Schema schema_;
  Random random_;
};

// One whole episode played by the expert, as a source would yield it. Throws Error that names field, seed and timestep when the
// world leaves out a field of its schema, or gives it another kind or shape than before.
Episode demonstrate(Environment& environment, uint64_t seed);

// The same, with what follows the last timestep.
struct Recording {
  Episode episode;
  Observation last;  // what the last action led to
};
Recording record(Environment& environment, uint64_t seed);

using EnvironmentRegistry = Registry<std::unique_ptr<Environment>()>;

// four_rooms, point_maze, shapes_qa.
void register_builtins(EnvironmentRegistry& registry);

}  // namespace mugato::env
