#include "mugato/data/mixture.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <thread>

#include "message_of.h"
#include "mugato/core/error.h"
#include "mugato/core/random.h"
#include "mugato/data/source.h"

namespace mugato::data {
namespace {

TEST(Permuted, IsAPermutationForEverySizeAndKey) {
  Random random(1);
  for (int trial = 0; trial < 60; ++trial) {
    const int64_t size = trial < 20 ? trial + 1 : random.between(21, 5000);
    const uint64_t key = random.bits();
    std::vector<bool> seen(static_cast<size_t>(size), false);
    for (int64_t i = 0; i < size; ++i) {
      const int64_t value = permuted(i, size, key);
      ASSERT_GE(value, 0);
      ASSERT_LT(value, size);
      ASSERT_FALSE(seen[static_cast<size_t>(value)]) << value << " comes twice, size " << size;
      seen[static_cast<size_t>(value)] = true;
    }
  }
}

TEST(Permuted, LargeSizesStayInRangeAndDoNotRepeat) {
  for (const int64_t size : {int64_t{1} << 40, (int64_t{1} << 40) + 12345, Source::kUnbounded}) {
    std::set<int64_t> seen;
    for (int64_t i = 0; i < 3000; ++i) {
      const int64_t value = permuted(i % 2 == 0 ? i : size - 1 - i, size, 7);
      ASSERT_GE(value, 0);
      ASSERT_LT(value, size);
      ASSERT_TRUE(seen.insert(value).second);
    }
  }
}

TEST(Permuted, KeysGiveUnrelatedOrders) {
  constexpr int64_t kSize = 1000;
  Random random(2);
  for (int trial = 0; trial < 20; ++trial) {
    const uint64_t a = random.bits(), b = a + 1;
    double same = 0, ascending = 0;
    for (int64_t i = 0; i < kSize; ++i) {
      same += permuted(i, kSize, a) == permuted(i, kSize, b);
      ascending += i > 0 && permuted(i, kSize, a) > permuted(i - 1, kSize, a);
    }
    EXPECT_LE(same, 8);               // of a Poisson distribution of mean 1
    EXPECT_NEAR(ascending, 500, 60);  // 6 standard deviations of sqrt(1000 / 12)
  }
}

std::vector<double> random_weights(Random& random) {
  std::vector<double> weights(static_cast<size_t>(random.between(1, 8)));
  for (auto& weight : weights) weight = random.chance(0.2) ? 0.0 : std::exp(4.0 * random.normal());
  weights.front() = 1.0;
  return weights;
}

TEST(Mixture, EveryCycleHasItsSharesRoundedDownOrUpAndAHorizonHasThemExactly) {
  Random random(3);
  for (int trial = 0; trial < 3; ++trial) {
    const auto weights = random_weights(random);
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    const Mixture mixture(weights, std::vector<int64_t>(weights.size(), Source::kUnbounded), random.bits());
    std::vector<int64_t> all(weights.size(), 0);
    for (int64_t cycle = 0; cycle < Mixture::kCycles; ++cycle) {
      std::vector<int64_t> drawn(weights.size(), 0);
      for (int64_t i = 0; i < Mixture::kCycle; ++i) ++drawn[mixture.draw(cycle * Mixture::kCycle + i).source];
      for (size_t s = 0; s < weights.size(); ++s) {
        const double exact = weights[s] / total * static_cast<double>(Mixture::kCycle);
        ASSERT_NEAR(static_cast<double>(drawn[s]), exact, 1.01) << "cycle " << cycle;
        all[s] += drawn[s];
        // At any moment not far from what it should be by now: the rounded ones are spread over the horizon.
        ASSERT_NEAR(static_cast<double>(all[s]), exact * static_cast<double>(cycle + 1), 4.0) << "cycle " << cycle;
      }
    }
    for (size_t s = 0; s < weights.size(); ++s)
      EXPECT_NEAR(static_cast<double>(all[s]), weights[s] / total * static_cast<double>(Mixture::kHorizon), 1.01);
  }
}

// The rarest has one draw in 200000, a task in a thousand: neither vanishes, nor takes more than its own.
TEST(Mixture, RareSourcesHaveTheirShareAndNoMore) {
  std::vector<double> weights(1200, 1.0);
  weights[0] = 5e-6 * 1300;
  weights[1] = 1300 - 1198 - weights[0];
  const Mixture mixture(weights, std::vector<int64_t>(weights.size(), 40), 6);
  std::vector<int64_t> drawn(weights.size(), 0);
  for (int64_t number = 0; number < Mixture::kHorizon; ++number) {
    const auto draw = mixture.draw(number);
    ASSERT_EQ(draw.count, drawn[draw.source]++) << "draw " << number;
  }
  EXPECT_EQ(drawn[0], 5);
  for (size_t s = 2; s < weights.size(); ++s) EXPECT_NEAR(static_cast<double>(drawn[s]), 1e6 / 1300, 1.01);
  const auto next = mixture.draw(Mixture::kHorizon);
  EXPECT_EQ(next.count, drawn[next.source]) << "the next horizon goes on counting";
}

TEST(Mixture, AWeightHoweverSmallIsDrawn) {
  const Mixture mixture({1.0, 1e-12}, {5, 5}, 1);
  int64_t drawn = 0;
  for (int64_t number = 0; number < Mixture::kHorizon; ++number) drawn += static_cast<int64_t>(mixture.draw(number).source);
  EXPECT_EQ(drawn, 1);
}

TEST(Mixture, WeightsFollowFromSizesAndTemperature) {
  const std::vector<double> weights{1, 2, 0, 1};
  const std::vector<int64_t> sizes{100, 100, 50, 6400};
  const std::vector<std::string> names{"a", "b", "c", "d"};
  EXPECT_EQ(mixture_weights({}, weights, sizes, names), weights);
  EXPECT_EQ(mixture_weights({.weights = "size"}, weights, sizes, names), (std::vector<double>{100, 200, 0, 6400}));
  EXPECT_EQ(mixture_weights({.weights = "temperature", .temperature = 2.0}, weights, sizes, names),
            (std::vector<double>{10, 20, 0, 80}));
  EXPECT_EQ(mixture_weights({.weights = "temperature"}, weights, sizes, names),
            mixture_weights({.weights = "size"}, weights, sizes, names));
}

TEST(Mixture, AnUnboundedSourceHasNoSizeToGoBy) {
  const std::vector<std::string> names{"few", "worlds"};
  for (const char* kind : {"size", "temperature"}) {
    const auto message = testing::message_of([&] {
      mixture_weights({.weights = kind}, {1, 1}, {5, Source::kUnbounded}, names);
    });
    EXPECT_NE(message.find("'worlds'"), std::string::npos) << message;
    EXPECT_NE(message.find("\nhint: "), std::string::npos) << message;
  }
  EXPECT_EQ(mixture_weights({}, {1, 1}, {5, Source::kUnbounded}, names), (std::vector<double>{1, 1}));
}

TEST(Mixture, RoundNumbersAreExact) {
  const Mixture mixture({1, 4, 3, 2}, {10, 10, 10, 10}, 5);
  std::vector<int64_t> drawn(4, 0);
  for (int64_t i = 0; i < Mixture::kCycle; ++i) ++drawn[mixture.draw(i).source];
  EXPECT_EQ(drawn, (std::vector<int64_t>{100, 400, 300, 200}));
}

TEST(Mixture, CountsOfASourceHaveNoGapsAndNoRepeats) {
  Random random(4);
  for (int trial = 0; trial < 20; ++trial) {
    const auto weights = random_weights(random);
    const Mixture mixture(weights, std::vector<int64_t>(weights.size(), 17), random.bits());
    std::vector<int64_t> next(weights.size(), 0);
    for (int64_t number = 0; number < 3 * Mixture::kCycle + 123; ++number) {
      const auto draw = mixture.draw(number);
      ASSERT_EQ(draw.count, next[draw.source]++) << "draw " << number;
    }
  }
}

TEST(Mixture, EveryEpisodeComesOnceAnEpochInAnOrderOfItsOwn) {
  const std::vector<int64_t> sizes{1, 2, 37, 500};
  const Mixture mixture({1, 1, 2, 4}, sizes, 9);
  std::vector<std::vector<int64_t>> order(sizes.size());
  for (int64_t number = 0; number < 6000; ++number) {
    const auto draw = mixture.draw(number);
    order[draw.source].push_back(draw.index);
  }
  for (size_t s = 0; s < sizes.size(); ++s) {
    const auto size = static_cast<size_t>(sizes[s]);
    std::set<std::vector<int64_t>> epochs;
    size_t num_epochs = 0;
    for (size_t begin = 0; begin + size <= order[s].size(); begin += size, ++num_epochs) {
      std::vector<int64_t> epoch(order[s].begin() + static_cast<ptrdiff_t>(begin),
                                 order[s].begin() + static_cast<ptrdiff_t>(begin + size));
      epochs.insert(epoch);
      std::sort(epoch.begin(), epoch.end());
      for (size_t i = 0; i < size; ++i) ASSERT_EQ(epoch[i], static_cast<int64_t>(i)) << "source " << s;
    }
    EXPECT_GE(num_epochs, 2U);
    if (size > 30) {
      EXPECT_EQ(epochs.size(), num_epochs) << "two epochs of one order";
    }
  }
}

TEST(Mixture, ThreadsSeeWhatOneThreadSees) {
  const Mixture a({3, 1, 2}, {50, 60, Source::kUnbounded}, 1), b({1, 1, 1}, {50, 60, Source::kUnbounded}, 1);
  const auto draws_of = [](const Mixture& mixture, int64_t lane, int64_t lanes) {
    std::vector<int64_t> values;
    for (int64_t number = lane; number < 5000; number += lanes) {
      const auto draw = mixture.draw(number);
      values.insert(values.end(), {static_cast<int64_t>(draw.source), draw.count, draw.index});
    }
    return values;
  };
  constexpr int64_t kLanes = 4;
  std::vector<std::vector<int64_t>> expected, found(2 * kLanes);
  for (int64_t lane = 0; lane < kLanes; ++lane)
    for (const auto* mixture : {&a, &b}) expected.push_back(draws_of(*mixture, lane, kLanes));
  std::vector<std::thread> threads;
  for (int64_t lane = 0; lane < kLanes; ++lane)
    threads.emplace_back([&, lane] {  // the two mixtures by turns, in one thread
      found[static_cast<size_t>(2 * lane)] = draws_of(a, lane, kLanes);
      found[static_cast<size_t>(2 * lane + 1)] = draws_of(b, lane, kLanes);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(found, expected);
}

TEST(Mixture, SeedsGiveDifferentOrdersAndEpisodes) {
  const std::vector<int64_t> sizes{1000, Source::kUnbounded};
  const Mixture a({1, 1}, sizes, 1), b({1, 1}, sizes, 2);
  double same_source = 0, same_index = 0;
  for (int64_t number = 0; number < 1000; ++number) {
    same_source += a.draw(number).source == b.draw(number).source;
    same_index += a.draw(number).index == b.draw(number).index;
  }
  EXPECT_NEAR(same_source, 500, 100);
  EXPECT_LE(same_index, 20);
}

TEST(Mixture, RefusesWeightsThatAreNone) {
  const std::vector<int64_t> two{5, 5};
  EXPECT_THROW(Mixture({1.0, -0.5}, two, 0), Error);
  EXPECT_THROW(Mixture({1.0, NAN}, two, 0), Error);
  EXPECT_THROW(Mixture({1.0, INFINITY}, two, 0), Error);
  EXPECT_THROW(Mixture({0.0, 0.0}, two, 0), Error);
  EXPECT_THROW(Mixture({}, {}, 0), Error);
}

TEST(Mixture, RefusesASourceWithoutEpisodesUnlessItIsNeverDrawn) {
  EXPECT_THROW(Mixture({1.0, 1.0}, {5, 0}, 0), Error);
  const Mixture mixture({1.0, 0.0}, {5, 0}, 0);
  for (int64_t number = 0; number < 100; ++number) EXPECT_EQ(mixture.draw(number).source, 0U);
}

}  // namespace
}  // namespace mugato::data
