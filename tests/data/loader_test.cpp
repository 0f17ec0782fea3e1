#include "mugato/data/loader.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "fake_sources.h"
#include "mugato/core/error.h"
#include "same_step.h"

namespace mugato::data {
namespace {

std::vector<DataEntry> entries() {
  return {{.source = "clock", .weight = 3.0, .max_steps = 5},
          {.source = "letters", .weight = 1.0},
          {.source = "clock", .name = "few", .weight = 2.0}};
}

std::vector<std::shared_ptr<const Source>> sources() {
  return {std::make_shared<ClockSource>(Source::kUnbounded, 20), std::make_shared<LetterSource>(100),
          std::make_shared<ClockSource>(7, 9)};
}

std::unique_ptr<Loader> make_loader(LoaderOptions options, std::vector<std::shared_ptr<const Source>> from = sources()) {
  return std::make_unique<Loader>(entries(), std::move(from), test_tokenizer(),
                                  std::make_shared<Sequencer>(test_vocabulary(), SequencerOptions{}), options);
}

LoaderOptions small(uint64_t seed = 1) { return {.rows = 6, .context = 48, .seed = seed}; }

TEST(Loader, StepsDoNotDependOnTheNumberOfWorkers) {
  auto options = small();
  const auto one = make_loader(options);
  options.workers = 2;
  options.prefetch = 1;
  const auto two = make_loader(options);
  options.workers = 4;
  options.prefetch = 7;
  const auto four = make_loader(options);
  for (int64_t n = 0; n < 40; ++n) {
    const auto expected = one->next();
    ASSERT_TRUE(same_step(two->next(), expected)) << "step " << n;
    ASSERT_TRUE(same_step(four->next(), expected)) << "step " << n;
  }
}

TEST(Loader, MicroBatchesAreTheSameRowsInGroups) {
  auto options = small();
  const auto whole = make_loader(options);
  std::vector<std::unique_ptr<Loader>> split;
  for (const int64_t micro_rows : {1, 2, 4, 5}) {  // 4 and 5 leave a smaller last group
    options.micro_rows = micro_rows;
    split.push_back(make_loader(options));
  }
  for (int64_t n = 0; n < 10; ++n) {
    const auto expected = whole->next();
    ASSERT_EQ(expected.micro_batches.size(), 1U);
    for (size_t i = 0; i < split.size(); ++i) {
      const auto step = split[i]->next();
      EXPECT_EQ(step.micro_batches.size(), (std::vector<size_t>{6, 3, 2, 2})[i]);
      ASSERT_TRUE(same_step(step, expected)) << "step " << n;
    }
  }
}

// A step of all processes: rank r has the r-th part of the rows.
GlobalStep next_of(const std::vector<std::unique_ptr<Loader>>& ranks) {
  auto all = ranks.front()->next();
  for (size_t r = 1; r < ranks.size(); ++r) {
    auto step = ranks[r]->next();
    std::move(step.micro_batches.begin(), step.micro_batches.end(), std::back_inserter(all.micro_batches));
    for (size_t d = 0; d < all.counts.size(); ++d) all.counts[d] += step.counts[d];
  }
  return all;
}

TEST(Loader, ProcessesShareTheRowsAndAnotherNumberOfThemGoesOn) {
  const auto whole = make_loader(small());
  auto state = whole->state();
  for (const int64_t size : {2, 6, 1, 3}) {
    std::vector<std::unique_ptr<Loader>> ranks;
    for (int64_t r = 0; r < size; ++r) {
      auto options = small();
      options.num_lanes = options.rows / size;
      options.first_lane = r * options.num_lanes;
      options.workers = 1 + r % 2;
      ranks.push_back(make_loader(options));
      ranks.back()->set_state(state);
    }
    for (int64_t n = 0; n < 7; ++n) ASSERT_TRUE(same_step(next_of(ranks), whole->next())) << size << " processes, step " << n;
    std::vector<std::string> states;
    for (const auto& rank : ranks) states.push_back(rank->state());
    state = ranks.front()->merged(states);
    EXPECT_EQ(state, whole->state());
  }
}

TEST(Loader, ContinuesFromASavedPositionAtAnyStep) {
  constexpr int64_t kSteps = 25;
  const auto straight = make_loader(small());
  std::vector<GlobalStep> expected;
  std::vector<std::string> positions{straight->state()};
  for (int64_t n = 0; n < kSteps; ++n) {
    expected.push_back(straight->next());
    positions.push_back(straight->state());
  }
  const auto used = make_loader(small());
  for (int64_t k = 0; k <= kSteps; ++k) {
    const auto fresh = make_loader(small());
    fresh->set_state(positions[static_cast<size_t>(k)]);
    EXPECT_EQ(fresh->state(), positions[static_cast<size_t>(k)]);
    used->set_state(positions[static_cast<size_t>(kSteps - k)]);  // one that has run already, backwards
    for (int64_t n = k; n < std::min(k + 3, kSteps); ++n)
      ASSERT_TRUE(same_step(fresh->next(), expected[static_cast<size_t>(n)])) << "resumed at " << k << ", step " << n;
    for (int64_t n = kSteps - k; n < std::min(kSteps - k + 2, kSteps); ++n)
      ASSERT_TRUE(same_step(used->next(), expected[static_cast<size_t>(n)])) << "reset to " << kSteps - k << ", step " << n;
  }
}

TEST(Loader, SeedsGiveDifferentSteps) {
  const auto a = make_loader(small(1)), b = make_loader(small(2));
  for (int64_t n = 0; n < 3; ++n) EXPECT_FALSE(same_step(a->next(), b->next()));
}

// Which documents there are in all rows, at which number of draws: what two numbers of rows share.
TEST(Loader, RowsHoldWholeDocumentsAndLittlePadding) {
  const auto loader = make_loader({.rows = 5, .micro_rows = 2, .context = 48, .seed = 3});
  const auto vocabulary = test_vocabulary();
  int64_t slots = 0, tokens = 0;
  for (int64_t n = 0; n < 30; ++n) {
    const auto step = loader->next();
    std::vector<DomainCounts> found(3);
    for (const auto& batch : step.micro_batches) {
      slots += batch.layout.rows * batch.layout.capacity;
      tokens += batch.layout.num_tokens();
      std::vector<int64_t> used(static_cast<size_t>(batch.layout.rows), 0);
      for (const auto& span : batch.layout.documents) used[static_cast<size_t>(span.row)] += span.length;
      for (const int64_t row : used) EXPECT_LE(row, 48);
      for (int64_t k = 0; k < batch.layout.num_targets(); ++k)
        ++found[static_cast<size_t>(batch.layout.target_domains[k].item<int64_t>())].targets;
      for (const auto& ids : documents_of(batch)) {
        const bool text = ids.front() == vocabulary.separator() || vocabulary.text().contains(ids.front());
        if (!text) {
          EXPECT_EQ(ids.size() % 4, 0U) << "half a timestep";
        }
        found[text ? 1 : 0].tokens += static_cast<int64_t>(ids.size());
        ++found[text ? 1 : 0].samples;
      }
    }
    const auto& counts = step.counts;
    EXPECT_EQ(found[1].samples, counts[1].samples);
    EXPECT_EQ(found[1].tokens, counts[1].tokens);
    EXPECT_EQ(found[0].samples, counts[0].samples + counts[2].samples);
    EXPECT_EQ(found[0].tokens, counts[0].tokens + counts[2].tokens);
    for (size_t d = 0; d < 3; ++d) EXPECT_EQ(found[d].targets, counts[d].targets) << "domain " << d;
  }
  EXPECT_GT(static_cast<double>(tokens), 0.7 * static_cast<double>(slots));
}

TEST(Loader, EveryEpisodeOfASmallSourceComesOnceAnEpochWhateverTheRows) {
  for (const int64_t rows : {1, 3, 8}) {
    Loader loader({{.source = "clock", .max_steps = 1}}, {std::make_shared<ClockSource>(50, 9)}, test_tokenizer(),
                  std::make_shared<Sequencer>(test_vocabulary(), SequencerOptions{}), {.rows = rows, .context = 8, .seed = 4});
    // Two documents of one timestep a row: no draw is carried over, so steps take the draws in turn.
    std::map<int64_t, int64_t> seen;
    int64_t drawn = 0;
    while (drawn + 2 * rows <= 50) {
      for (const auto& batch : loader.next().micro_batches)
        for (const auto& ids : documents_of(batch)) ++seen[ids[0]];
      drawn += 2 * rows;
    }
    EXPECT_EQ(static_cast<int64_t>(seen.size()), drawn) << rows << " rows";
  }
}

TEST(Loader, AnErrorOfASourceComesAfterTheStepsBeforeIt) {
  const auto healthy = make_loader(small());
  auto broken_sources = sources();
  auto broken = std::make_shared<ClockSource>(Source::kUnbounded, 20);
  // An episode that the seed draws a little later on.
  const Mixture mixture({3.0, 1.0, 2.0}, {Source::kUnbounded, Source::kUnbounded, 7}, small().seed);
  for (int64_t number = 100; broken->bad_index < 0; ++number)
    if (const auto draw = mixture.draw(number); draw.source == 0) broken->bad_index = draw.index;
  broken_sources[0] = broken;
  for (const int64_t workers : {1, 3}) {
    auto options = small();
    options.workers = workers;
    const auto loader = make_loader(options, broken_sources);
    healthy->set_state(R"({"step":0,"draws":[0,0,0,0,0,0]})");
    int64_t good = 0;
    std::string message;
    for (; message.empty() && good < 100; ++good) {
      try {
        const auto step = loader->next();
        ASSERT_TRUE(same_step(step, healthy->next())) << "step " << good;
      } catch (const std::runtime_error& error) {
        message = error.what();
      }
    }
    EXPECT_EQ(message, "episode " + std::to_string(broken->bad_index) + " is broken");
    EXPECT_GT(good, 3);
    EXPECT_THROW(loader->next(), std::runtime_error) << "and again";
    loader->set_state(R"({"step":0,"draws":[0,0,0,0,0,0]})");
    EXPECT_NO_THROW(loader->next()) << "usable from an earlier position";
  }
}

TEST(Loader, CanBeDestroyedAtAnyMoment) {
  class Slow : public ClockSource {
   public:
    Slow() : ClockSource(Source::kUnbounded, 3) {}
    Episode get(int64_t index) const override {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return ClockSource::get(index);
    }
  };
  const auto from = sources();
  for (int64_t trial = 0; trial < 30; ++trial) {
    auto options = small();
    options.workers = 1 + trial % 3;
    const auto loader = make_loader(options, {std::make_shared<Slow>(), from[1], from[2]});
    if (trial % 5 == 0) continue;
    for (int64_t n = 0; n < trial % 4; ++n) loader->next();
    if (trial % 7 == 0) loader->set_state(loader->state());
    std::this_thread::sleep_for(std::chrono::microseconds(137 * trial));
  }
}

// LibTorch keeps one number of threads for all that start later: a loader that set its own took the trainer's cores.
TEST(Loader, LeavesTheNumberOfThreadsAlone) {
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  auto options = small();
  options.workers = 2;
  make_loader(options)->next();
  int seen = 0;
  std::thread([&] { seen = at::get_num_threads(); }).join();
  at::set_num_threads(before);
  EXPECT_EQ(seen, 3);
}

// LibTorch's operations start a pool of threads for every thread that calls them, and the pool spins on the trainer's cores.
TEST(Loader, ItsThreadsHaveNoThreadsOfTheirOwn) {
  struct Counting : ClockSource {
    using ClockSource::ClockSource;
    Episode get(int64_t index) const override {
      most_threads = std::max(most_threads.load(), at::get_num_threads());
      return ClockSource::get(index);
    }
    mutable std::atomic<int> most_threads = 0;
  };
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  for (const int64_t workers : {1, 3}) {
    const auto counting = std::make_shared<Counting>(Source::kUnbounded, 20);
    auto options = small();
    options.workers = workers;
    make_loader(options, {counting, sources()[1], sources()[2]})->next();
    EXPECT_EQ(counting->most_threads, 1) << workers;
  }
  EXPECT_EQ(at::get_num_threads(), 3);
  at::set_num_threads(before);
}

TEST(Loader, RefusesAPositionThatIsNotItsOwn) {
  const auto loader = make_loader(small());
  const auto first = loader->next();
  const auto position = loader->state();
  for (const char* bad : {"", "{", "[]", "{}", R"({"step":1})", R"({"step":1,"draws":3})", R"({"step":"x","draws":[1]})"})
    EXPECT_THROW(loader->set_state(bad), Error) << bad;
  try {
    loader->set_state(R"({"step":3,"draws":[1,2]})");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("2 rows, the configuration has 6"), std::string::npos) << error.what();
  }
  EXPECT_EQ(loader->state(), position) << "a refused position changes nothing";
  const auto fresh = make_loader(small());
  EXPECT_TRUE(same_step(first, fresh->next()));
  EXPECT_TRUE(same_step(loader->next(), fresh->next()));
}

TEST(Loader, NamesTheDomainsOfTheEntries) {
  EXPECT_EQ(make_loader(small())->domain_names(), (std::vector<std::string>{"clock", "letters", "few"}));
}

TEST(Loader, RefusesASchemaThatTheVocabularyCanNotHold) {
  EXPECT_THROW(Loader({{.source = "clock"}}, {std::make_shared<ClockSource>(5, 5)},
                      std::make_shared<Tokenizer>(Vocabulary({.text_size = 256, .num_discrete = 100}), nullptr),
                      std::make_shared<Sequencer>(Vocabulary({.text_size = 256, .num_discrete = 100}), SequencerOptions{}),
                      {.rows = 1, .context = 32}),
               Error);
}

}  // namespace
}  // namespace mugato::data
