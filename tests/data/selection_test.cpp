#include "mugato/data/selection.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "fake_sources.h"
#include "message_of.h"

namespace mugato::data {
namespace {

TEST(ExpertReturn, IsTheBestMeanOfAWindow) {
  EXPECT_EQ(expert_return(std::vector<double>{3.0}), 3.0);
  EXPECT_EQ(expert_return(std::vector<double>{1, 5, 2}), 5.0) << "a tenth of fewer than 20 is one episode";
  std::vector<double> returns(40, 0.0);  // windows of four
  returns[7] = 100.0;                    // a lucky one
  for (size_t i = 20; i < 24; ++i) returns[i] = 30.0;
  EXPECT_EQ(expert_return(returns), 30.0);
  std::vector<double> many(30000, 0.0);  // windows of a thousand, not of three thousand
  std::fill_n(many.begin() + 5000, 1000, 2.0);
  EXPECT_EQ(expert_return(many), 2.0);
}

TEST(ExpertReturn, AgreesWithEveryWindowAddedUpByItself) {
  Random random(1);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<double> returns(static_cast<size_t>(random.between(1, 300)));
    for (auto& value : returns) value = 10.0 * random.normal();
    const auto window = std::max<size_t>(1, returns.size() / 10);
    double best = -INFINITY;
    for (size_t begin = 0; begin + window <= returns.size(); ++begin) {
      double sum = 0.0;
      for (size_t i = begin; i < begin + window; ++i) sum += returns[i];
      best = std::max(best, sum / static_cast<double>(window));
    }
    EXPECT_NEAR(expert_return(returns), best, 1e-12);
  }
}

TEST(SelectEpisodes, KeepsAShareOfThePositiveAndNeverAllOfTheNegative) {
  using Kept = std::vector<int64_t>;
  EXPECT_EQ(select_episodes(std::vector<double>{10, 7.9, 8, 9, 0}, {.return_filter = 0.8}), (Kept{0, 2, 3}));
  EXPECT_EQ(select_episodes(std::vector<double>{-10, -12, -12.1, -100}, {.return_filter = 0.8}), (Kept{0, 1}));
  EXPECT_EQ(select_episodes(std::vector<double>{0, -1, 0}, {.return_filter = 0.8}), (Kept{0, 2}));
  EXPECT_EQ(select_episodes(std::vector<double>{5, 1}, {.return_filter = 1.0}), (Kept{0}));
  EXPECT_EQ(select_episodes(std::vector<double>{5, -1}, {}), (Kept{0, 1}));
  const std::vector<double> alike(1000, 0.1);
  EXPECT_EQ(select_episodes(alike, {.return_filter = 1.0}).size(), 1000U) << "their mean is rounded";
}

TEST(SelectEpisodes, TakesTheBestInTheirOrderOfThoseThatPass) {
  using Kept = std::vector<int64_t>;
  const std::vector<double> returns{4, 9, 1, 9, 8, 9};
  EXPECT_EQ(select_episodes(returns, {.top = 1}), (Kept{1}));
  EXPECT_EQ(select_episodes(returns, {.top = 4}), (Kept{1, 3, 4, 5}));
  EXPECT_EQ(select_episodes(returns, {.top = 60}), (Kept{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(select_episodes(returns, {.return_filter = 0.9, .top = 5}), (Kept{1, 3, 5}));
}

TEST(SelectEpisodes, WhateverTheReturnsSomeAreKeptAndNoneBetterIsLeftOut) {
  Random random(2);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> returns(static_cast<size_t>(random.between(1, 60)));
    for (auto& value : returns) value = random.chance(0.3) ? -2.0 : random.uniform(-5.0, random.chance(0.5) ? 5.0 : -4.0);
    const auto kept =
        select_episodes(returns, {.return_filter = random.chance(0.2) ? 0.0 : random.uniform(), .top = random.below(20)});
    ASSERT_FALSE(kept.empty());
    EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
    double worst = INFINITY;
    for (const int64_t i : kept) worst = std::min(worst, returns[static_cast<size_t>(i)]);
    const std::set<int64_t> in(kept.begin(), kept.end());
    for (size_t i = 0; i < returns.size(); ++i) {
      EXPECT_TRUE(in.contains(static_cast<int64_t>(i)) || returns[i] <= worst);
    }
  }
}

// Clocks whose return is known beforehand.
class ReturnSource : public ClockSource {
 public:
  ReturnSource(int64_t size) : ClockSource(size, 3) {}
  double episode_return(int64_t index) const override { return index == broken ? NAN : static_cast<double>(index % 10); }
  int64_t broken = -1;
};

TEST(Select, GivesTheEpisodesThatWereKept) {
  const auto all = std::make_shared<ReturnSource>(30);  // windows of three: the expert's return is 8
  const auto kept = select(all, {.return_filter = 1.0}, "clock");
  ASSERT_EQ(kept->size(), 6);
  for (int64_t i = 0; i < 6; ++i) {
    const int64_t index = 10 * (i / 2) + 8 + i % 2;
    EXPECT_EQ(kept->get(i).id, "clock episode " + std::to_string(index));
    EXPECT_EQ(kept->episode_return(i), static_cast<double>(index % 10));
  }
  EXPECT_EQ(select(all, {}, "clock"), all);
}

TEST(Select, WithoutAReturnOfItsOwnTheEpisodeIsAsked) {
  class Totals : public ClockSource {
   public:
    Totals() : ClockSource(5, 3) {}
    Episode get(int64_t index) const override {
      auto episode = ClockSource::get(index);
      episode.total_return = static_cast<double>(-index);
      return episode;
    }
  };
  EXPECT_EQ(select(std::make_shared<Totals>(), {.top = 2}, "clock")->get(1).id, "clock episode 1");
}

TEST(Select, SaysWhatItCanNotChooseFrom) {
  const auto worlds = std::make_shared<ClockSource>(Source::kUnbounded, 3);
  for (const SelectionOptions options : {SelectionOptions{.return_filter = 0.8}, SelectionOptions{.top = 3}})
    EXPECT_NE(testing::message_of([&] { select(worlds, options, "worlds"); }).find("'worlds' makes a new episode"),
              std::string::npos);
  const auto broken = std::make_shared<ReturnSource>(30);
  broken->broken = 17;
  EXPECT_EQ(select(broken, {.top = 3, .skip_broken = true}, "games")->get(0).id, "clock episode 9");
  EXPECT_NE(testing::message_of([&] { select(broken, {.top = 3}, "games"); }).find("'games': the return of episode 17"),
            std::string::npos);
}

}  // namespace
}  // namespace mugato::data
