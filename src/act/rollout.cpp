#include "mugato/act/rollout.h"

#include <numeric>

#include "mugato/core/error.h"

namespace mugato::act {
namespace {

struct Playing {
  std::unique_ptr<env::Environment> environment;
  Observation observation;
  size_t episode = 0;
};

}  // namespace

std::vector<EpisodeResult> rollout(Policy& policy, int64_t num_sessions, const EnvironmentBuilder& build,
                                   std::span<const uint64_t> seeds, const Watcher& watcher) {
  std::vector<EpisodeResult> results(seeds.size());
  std::vector<Playing> playing(std::min(static_cast<size_t>(num_sessions), seeds.size()));
  std::vector<int64_t> active;
  size_t next = 0;
  const auto begin = [&](int64_t session) {
    auto& play = playing[static_cast<size_t>(session)];
    play.episode = next++;
    results[play.episode].seed = seeds[play.episode];
    play.observation = play.environment->reset(seeds[play.episode]);
    policy.reset(session, hash_key(seeds[play.episode], 0x616374));
    if (watcher) watcher(play.episode, *play.environment);
  };
  for (int64_t session = 0; session < static_cast<int64_t>(playing.size()); ++session) {
    playing[static_cast<size_t>(session)].environment = build();
    begin(session);
    active.push_back(session);
  }
  while (!active.empty()) {
    std::vector<Observation> observations;
    for (const int64_t session : active) observations.push_back(playing[static_cast<size_t>(session)].observation);
    const auto actions = policy.act(active, observations);
    std::vector<int64_t> still;
    for (size_t i = 0; i < active.size(); ++i) {
      auto& play = playing[static_cast<size_t>(active[i])];
      auto& result = results[play.episode];
      auto step = play.environment->step(actions[i]);
      play.observation = std::move(step.observation);
      result.total_return += step.reward;
      ++result.num_steps;
      if (watcher) watcher(play.episode, *play.environment);
      if (step.done) result.success = step.success;
      if (step.done && next == seeds.size()) continue;
      if (step.done) begin(active[i]);
      still.push_back(active[i]);
    }
    active = std::move(still);
  }
  return results;
}

Interval bootstrap_mean(std::span<const double> values) {
  constexpr int64_t kResamples = 10000;
  Random random(hash_key(0x626f6f74));
  const auto size = static_cast<int64_t>(values.size());
  std::vector<double> means;
  for (int64_t r = 0; r < kResamples; ++r) {
    double sum = 0.0;
    for (int64_t i = 0; i < size; ++i) sum += values[static_cast<size_t>(random.below(size))];
    means.push_back(sum / static_cast<double>(size));
  }
  std::sort(means.begin(), means.end());
  return {means[kResamples * 25 / 1000], means[kResamples * 975 / 1000 - 1]};
}

Scores score(std::span<const EpisodeResult> results, env::ReferenceScores reference) {
  TORCH_CHECK(!results.empty(), "no episodes to score");
  if (!std::isfinite(reference.random) || !std::isfinite(reference.expert) || reference.random == reference.expert)
    throw Error("returns cannot be normalised between " + std::to_string(reference.random) + " (random) and " +
                    std::to_string(reference.expert) + " (expert)",
                "measure the world's reference_scores(): two numbers that differ");
  Scores scores{.episodes = static_cast<int64_t>(results.size())};
  std::vector<double> normalized;
  for (const auto& result : results) {
    const double weight = 1.0 / static_cast<double>(results.size());
    scores.success += weight * (result.success ? 1.0 : 0.0);
    scores.mean_return += weight * result.total_return;
    scores.mean_length += weight * static_cast<double>(result.num_steps);
    normalized.push_back(100.0 * (result.total_return - reference.random) / (reference.expert - reference.random));
    scores.normalized += weight * normalized.back();
  }
  scores.interval = bootstrap_mean(normalized);
  return scores;
}

}  // namespace mugato::act
