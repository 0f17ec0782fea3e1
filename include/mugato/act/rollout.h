// Episodes played by a policy, and what they are worth.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "mugato/act/policy.h"
#include "mugato/env/environment.h"

namespace mugato::act {

struct EpisodeResult {
  uint64_t seed = 0;
  double total_return = 0.0;
  bool success = false;
  int64_t num_steps = 0;
};

using EnvironmentBuilder = std::function<std::unique_ptr<env::Environment>()>;

// Called after reset (action null) and after every step of an episode: for pictures.
using Watcher = std::function<void(size_t episode, const env::Environment& environment)>;

// Plays one episode per seed, as many side by side as the policy has sessions. Results are in the order of the seeds and do
// not depend on the number of sessions, up to rounding of the sums in the model.
std::vector<EpisodeResult> rollout(Policy& policy, int64_t num_sessions, const EnvironmentBuilder& build,
                                   std::span<const uint64_t> seeds, const Watcher& watcher = {});

struct Interval {
  double low = 0.0, high = 0.0;
};

struct Scores {
  int64_t episodes = 0;
  double success = 0.0;  // share
  double mean_return = 0.0;
  double mean_length = 0.0;
  double normalized = 0.0;  // of the mean return: 0 = random, 100 = expert
  Interval interval;        // 95% bootstrap interval of `normalized`
};

// Throws Error when the references are equal or not finite.
Scores score(std::span<const EpisodeResult> results, env::ReferenceScores reference);

// 95% percentile interval of the mean by the bootstrap: 10,000 resamples by a fixed seed.
Interval bootstrap_mean(std::span<const double> values);

}  // namespace mugato::act
