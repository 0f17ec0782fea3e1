#include "mugato/act/rollout.h"

#include <gtest/gtest.h>

#include <random>

#include "acting.h"
#include "mugato/core/error.h"

namespace mugato::act {
namespace {

TEST(Rollout, ResultsDoNotDependOnTheNumberOfSessions) {
  const Acting acting;
  for (const std::string name : {"four_rooms", "shapes_qa"}) {
    std::vector<uint64_t> seeds;
    for (uint64_t i = 0; i < 9; ++i) seeds.push_back(env::evaluation_seed(i));
    std::vector<std::vector<EpisodeResult>> all;
    const auto build = [&] { return acting.worlds.build(name); };
    for (const int64_t sessions : {1, 4, 20}) {
      auto policy = acting.policy(build()->schema(), sessions, {.context = 100, .max_answer = 4});
      all.push_back(rollout(policy, sessions, build, seeds));
    }
    int64_t same = 0;
    for (size_t i = 0; i < seeds.size(); ++i) {
      EXPECT_EQ(all[0][i].seed, seeds[i]) << "results are in the order of the seeds";
      EXPECT_GT(all[0][i].num_steps, 0);
      for (size_t k = 1; k < all.size(); ++k)
        same += all[k][i].num_steps == all[0][i].num_steps && all[k][i].total_return == all[0][i].total_return &&
                all[k][i].success == all[0][i].success;
    }
    EXPECT_GE(same, static_cast<int64_t>(2 * seeds.size()) - 2) << name;  // rounding may tip a draw
  }
}

TEST(Rollout, TheWatcherSeesTheStartAndEveryStep) {
  const Acting acting;
  const auto build = [&] { return acting.worlds.build("point_maze"); };
  auto policy = acting.policy(build()->schema(), 3, {.context = 100});
  const std::vector<uint64_t> seeds{5, 6, 7, 8, 9};
  std::vector<int64_t> calls(seeds.size(), 0);
  const auto results = rollout(policy, 3, build, seeds, [&](size_t episode, const env::Environment&) { ++calls[episode]; });
  for (size_t i = 0; i < seeds.size(); ++i) EXPECT_EQ(calls[i], results[i].num_steps + 1);
}

// Percentile p of the mean of n draws from values of which k are 1 and the rest 0: the bootstrap's distribution, exactly.
double binomial_quantile(int64_t n, double share, double p) {
  double cumulative = 0.0;
  for (int64_t k = 0; k <= n; ++k) {
    const auto x = static_cast<double>(k), size = static_cast<double>(n);
    cumulative += std::exp(std::lgamma(size + 1) - std::lgamma(x + 1) - std::lgamma(size - x + 1) + x * std::log(share) +
                           (size - x) * std::log1p(-share));
    if (cumulative >= p) return x / size;
  }
  return 1.0;
}

TEST(Bootstrap, OfSuccessesIsTheBinomialInterval) {
  for (const int64_t n : {20, 50, 200})
    for (const int64_t successes : {n / 10, n / 2, n - 2}) {
      std::vector<double> values(static_cast<size_t>(n), 0.0);
      std::fill_n(values.begin(), successes, 1.0);
      const double share = static_cast<double>(successes) / static_cast<double>(n);
      const auto interval = bootstrap_mean(values);
      // 10,000 resamples may miss a quantile by a step of 1 / n.
      EXPECT_NEAR(interval.low, binomial_quantile(n, share, 0.025), 1.01 / static_cast<double>(n));
      EXPECT_NEAR(interval.high, binomial_quantile(n, share, 0.975), 1.01 / static_cast<double>(n));
      EXPECT_LE(interval.low, share);
      EXPECT_GE(interval.high, share);
    }
}

TEST(Bootstrap, AgreesWithAResamplingOfItsOwn) {
  std::mt19937_64 generator(7);
  std::lognormal_distribution<double> skewed(0.0, 1.0);
  std::vector<double> values(60);
  for (auto& value : values) value = skewed(generator);
  std::uniform_int_distribution<size_t> pick(0, values.size() - 1);
  std::vector<double> means;
  for (int64_t r = 0; r < 40000; ++r) {
    double sum = 0.0;
    for (size_t i = 0; i < values.size(); ++i) sum += values[pick(generator)];
    means.push_back(sum / static_cast<double>(values.size()));
  }
  std::sort(means.begin(), means.end());
  const auto interval = bootstrap_mean(values);
  const double width = means[39000] - means[1000];
  EXPECT_NEAR(interval.low, means[1000], 0.04 * width);
  EXPECT_NEAR(interval.high, means[39000], 0.04 * width);
}

TEST(Bootstrap, OfOneValueIsThatValue) {
  const std::vector<double> values(5, 2.5);
  EXPECT_EQ(bootstrap_mean(values).low, 2.5);
  EXPECT_EQ(bootstrap_mean(values).high, 2.5);
}

TEST(Score, NormalisesBetweenRandomAndExpert) {
  const std::vector<EpisodeResult> results{{.total_return = 1.0, .success = true, .num_steps = 10},
                                           {.total_return = 0.25, .success = false, .num_steps = 30},
                                           {.total_return = 0.5, .success = true, .num_steps = 20},
                                           {.total_return = 0.25, .success = false, .num_steps = 40}};
  const auto scores = score(results, {.random = 0.25, .expert = 0.75});
  EXPECT_EQ(scores.episodes, 4);
  EXPECT_DOUBLE_EQ(scores.success, 0.5);
  EXPECT_DOUBLE_EQ(scores.mean_return, 0.5);
  EXPECT_DOUBLE_EQ(scores.mean_length, 25.0);
  EXPECT_DOUBLE_EQ(scores.normalized, 50.0);
  EXPECT_GE(scores.interval.low, 0.0);
  EXPECT_LE(scores.interval.high, 150.0);
  EXPECT_LT(scores.interval.low, 50.0);
  EXPECT_GT(scores.interval.high, 50.0);
}

TEST(Score, RandomIsZeroAndTheExpertIsAHundred) {
  const env::ReferenceScores reference{.random = 0.1, .expert = 0.9};
  for (const auto& [value, expected] : {std::pair{0.1, 0.0}, {0.9, 100.0}}) {
    const std::vector<EpisodeResult> results(3, {.total_return = value});
    EXPECT_NEAR(score(results, reference).normalized, expected, 1e-12);
    EXPECT_NEAR(score(results, reference).interval.low, expected, 1e-12);
  }
}

TEST(Score, ReferencesThatDoNotDifferAreAnError) {
  const std::vector<EpisodeResult> results(2, {.total_return = 1.0});
  for (const env::ReferenceScores reference : {env::ReferenceScores{.random = 0.5, .expert = 0.5},
                                               {.random = NAN, .expert = 1.0},
                                               {.random = 0.0, .expert = INFINITY}})
    EXPECT_THROW(score(results, reference), Error);
}

}  // namespace
}  // namespace mugato::act
