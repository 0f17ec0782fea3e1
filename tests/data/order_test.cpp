#include "mugato/data/order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <set>
#include <thread>

#include "mugato/core/random.h"
#include "mugato/data/run_cache.h"

namespace mugato::data {
namespace {

ReadingOrder random_order(Random& random) {
  ReadingOrder order{.block = random.between(1, 40)};
  for (int64_t runs = random.between(1, 12); runs > 0; --runs) order.runs.push_back(random.between(0, 90));
  order.runs.push_back(1);
  return order;
}

int64_t total(const ReadingOrder& order) { return std::accumulate(order.runs.begin(), order.runs.end(), int64_t{0}); }

TEST(EpisodeOrder, EveryEpochDrawsEveryEpisodeOnceAndDiffersFromTheOneBefore) {
  Random random(3);
  for (int trial = 0; trial < 30; ++trial) {
    const auto runs = random_order(random);
    const int64_t size = total(runs);
    const EpisodeOrder order(size, trial % 3 == 0 ? ReadingOrder{} : runs, random.bits(), 2);
    std::vector<std::vector<int64_t>> epochs(2);
    for (int64_t count = 0; count < 2 * size; ++count) epochs[static_cast<size_t>(count / size)].push_back(order.index(count));
    for (const auto& epoch : epochs) EXPECT_EQ(std::set<int64_t>(epoch.begin(), epoch.end()).size(), static_cast<size_t>(size));
    if (size > 20) {
      EXPECT_NE(epochs[0], epochs[1]);
    }
  }
}

TEST(EpisodeOrder, RunsAreReadOneAfterTheOtherAndBlocksFrontToBack) {
  Random random(4);
  for (int trial = 0; trial < 30; ++trial) {
    const auto runs = random_order(random);
    std::vector<int64_t> run_of, block_of;
    for (size_t r = 0; r < runs.runs.size(); ++r)
      for (int64_t i = 0; i < runs.runs[r]; ++i) {
        run_of.push_back(static_cast<int64_t>(r));
        block_of.push_back(i / runs.block);
      }
    const EpisodeOrder order(total(runs), runs, random.bits(), 0);
    std::set<int64_t> finished;
    int64_t run = -1, block = -1;
    for (int64_t count = 0; count < total(runs); ++count) {
      const auto index = static_cast<size_t>(order.index(count));
      if (run_of[index] != run) {
        ASSERT_TRUE(finished.insert(run_of[index]).second) << "a run is come back to";
        run = run_of[index];
        block = -1;
      }
      ASSERT_GE(block_of[index], block);
      ASSERT_LE(block_of[index], block + 1);
      block = block_of[index];
    }
  }
}

TEST(EpisodeOrder, IsTheSameFromEveryThread) {
  const ReadingOrder runs{{100, 3, 50}, 8};
  const EpisodeOrder a(153, runs, 5, 0), b(153, runs, 6, 0);
  const auto draw = [](const EpisodeOrder& order, int64_t start) {
    std::vector<int64_t> drawn;
    for (int64_t i = 0; i < 500; ++i) drawn.push_back(order.index((start + i) % 500));
    std::rotate(drawn.begin(), drawn.end() - start, drawn.end());
    return drawn;
  };
  const auto alone = draw(a, 0);
  EXPECT_NE(alone, draw(b, 0));
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int64_t t = 0; t < 4; ++t) threads.emplace_back([&, t] { wrong += draw(a, 100 * t) != alone || draw(b, 1) == alone; });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Runs of numbers that count what is read of them.
struct CountedRuns {
  ReadingOrder order;
  std::atomic<int64_t> opened{0}, read{0};
  std::atomic<bool> broken{false};

  RunCache<int64_t> cache(size_t max_blocks) {
    return {order,
            [this](int64_t run) {
              ++opened;
              return [this, run, i = int64_t{0}]() mutable -> std::optional<int64_t> {
                if (broken) throw std::runtime_error("broken");
                ++read;
                if (i == order.runs[static_cast<size_t>(run)]) return std::nullopt;
                return 1000 * run + i++;
              };
            },
            max_blocks};
  }
};

TEST(RunCache, DrawsInOrderReadEveryRunOnce) {
  CountedRuns runs{.order = {{100, 3, 50}, 8}};
  auto cache = runs.cache(2);
  const EpisodeOrder order(153, runs.order, 7, 0);
  for (int64_t count = 0; count < 153; ++count) {
    const int64_t index = order.index(count), run = index < 100 ? 0 : index < 103 ? 1 : 2;
    ASSERT_EQ(*cache.get(index), 1000 * run + index - (run == 0 ? 0 : run == 1 ? 100 : 103));
  }
  EXPECT_EQ(runs.opened, 3);
  EXPECT_EQ(runs.read, 153);
}

TEST(RunCache, AnyOrderFromSeveralThreadsGivesTheSameItems) {
  CountedRuns runs{.order = {{100, 0, 3, 50}, 8}};
  auto cache = runs.cache(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      Random random(t);
      for (int i = 0; i < 500; ++i) {
        const int64_t index = random.below(153), run = index < 100 ? 0 : index < 103 ? 2 : 3;
        wrong += *cache.get(index) != 1000 * run + index - (run == 0 ? 0 : run == 2 ? 100 : 103);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(RunCache, WhatFailedIsTriedAgain) {
  CountedRuns runs{.order = {{10}, 4}};
  auto cache = runs.cache(2);
  runs.broken = true;
  EXPECT_THROW(cache.get(5), std::runtime_error);
  runs.broken = false;
  EXPECT_EQ(*cache.get(5), 5);
}

}  // namespace
}  // namespace mugato::data
