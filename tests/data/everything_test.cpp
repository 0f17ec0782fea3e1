// The order of the data is a function of the seed with all that changes it switched on at once.
#include <gtest/gtest.h>

#include "fake_sources.h"
#include "mugato/data/loader.h"
#include "mugato/data/opening.h"
#include "same_step.h"

namespace mugato::data {
namespace {

// Sources of a few hundred recorded episodes: games with returns and rewards, pictures with answers, and texts; some broken.
class Games : public ClockSource {
 public:
  Games() : ClockSource(200, 12) {}
  const Schema& schema() const override { return schema_; }
  Episode get(int64_t index) const override {
    if (index % 17 == 5) throw Error("games.bin, episode " + std::to_string(index) + ": broken", "");
    auto episode = ClockSource::get(index);
    Random random(hash_key(21, index));
    auto force = at::empty({episode.num_steps, 2}, at::kFloat);
    for (int64_t e = 0; e < episode.num_steps; ++e) {
      force[e][0] = 30.0 * random.normal();
      force[e][1] = 5.0;
    }
    episode.fields.push_back({force, {}});
    episode.rewards = at::full({episode.num_steps}, static_cast<double>(index % 7), at::kDouble);
    return episode;
  }

  double episode_return(int64_t index) const override { return static_cast<double>(index % 7); }

 private:
  static Schema with_force(Schema schema) {
    schema.fields.push_back({.name = "force", .modality = Modality::kContinuous, .role = Role::kAction, .shape = {2}});
    return schema;
  }
  Schema schema_ = with_force(ClockSource::schema());
};

class Pictures : public Source {
 public:
  Pictures() {
    schema_.fields = {{.name = "answer", .role = Role::kAnswer}, {.name = "picture", .modality = Modality::kImage}};
  }
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return 90; }
  Episode get(int64_t index) const override {
    if (index % 11 == 3) throw Error("pictures.tar, " + std::to_string(index) + ".jpg: broken", "");
    Random random(hash_key(22, index));
    return {.fields = {{{}, {"number " + std::to_string(index)}},
                       {at::full({1, random.between(1, 60), random.between(1, 60), 3}, index, at::kByte), {}}},
            .num_steps = 1,
            .id = "picture " + std::to_string(index)};
  }

 private:
  Schema schema_;
};

std::vector<DataEntry> entries() {
  return {{.source = "games",
           .weight = 2.0,
           .return_filter = 0.3,
           .normalize = "quantile",
           .reward = true,
           .prompt_share = 0.5,
           .prompt_loss = false,
           .on_bad_sample = "skip"},
          {.source = "pictures", .images = {.max_side = 40}, .pairs = 5, .on_bad_sample = "skip"},
          {.source = "letters", .weight = 0.5}};
}

std::unique_ptr<Loader> make_loader(int64_t workers, int64_t prefetch = 4) {
  SourceRegistry registry("data source");
  registry.add("games", [](const auto&, auto) { return std::make_unique<Games>(); });
  registry.add("pictures", [](const auto&, auto) { return std::make_unique<Pictures>(); });
  registry.add("letters", [](const auto&, auto) {
    class Few : public LetterSource {
     public:
      Few() : LetterSource(200) {}
      int64_t size() const override { return 50; }
    };
    return std::make_unique<Few>();
  });
  std::vector<std::shared_ptr<const Source>> sources;
  for (const auto& entry : entries()) {
    EntryFacts facts;
    sources.push_back(open_training(registry, entry, facts));
  }
  return std::make_unique<Loader>(entries(), std::move(sources), test_tokenizer(),
                                  std::make_shared<Sequencer>(test_vocabulary(), SequencerOptions{.text_observations = true}),
                                  LoaderOptions{.rows = 5,
                                                .micro_rows = 2,
                                                .context = 60,
                                                .workers = workers,
                                                .prefetch = prefetch,
                                                .seed = 8,
                                                .mixture = {.weights = "temperature", .temperature = 2.0}});
}

TEST(Everything, TheSameSeedGivesTheSameStepsWhateverTheWorkersAndStops) {
  constexpr size_t kSteps = 24;
  const auto straight = make_loader(1);
  std::vector<GlobalStep> expected;
  std::vector<std::string> positions{straight->state()};
  std::vector<DomainCounts> sums(3);
  bool stopped_within_a_draw = false;
  for (size_t n = 0; n < kSteps; ++n) {
    expected.push_back(straight->next());
    positions.push_back(straight->state());
    stopped_within_a_draw |= positions.back().find("\"taken\":[0,0,0,0,0]") == std::string::npos;
    for (size_t d = 0; d < sums.size(); ++d) sums[d] += expected.back().counts[d];
  }
  // All of it happens in these steps.
  EXPECT_TRUE(stopped_within_a_draw);
  EXPECT_GT(sums[0].skipped, 0);
  EXPECT_GT(sums[0].prompted, 10);
  EXPECT_GT(sums[0].clipped, 0);
  EXPECT_GT(sums[1].skipped, 0);
  EXPECT_GT(sums[2].samples, 5);
  for (const int64_t workers : {1, 2, 4}) {
    const auto whole = make_loader(workers, workers);
    for (size_t n = 0; n < kSteps; ++n) ASSERT_TRUE(same_step(whole->next(), expected[n])) << workers << " workers, step " << n;
    for (size_t k = 0; k <= kSteps; ++k) {
      whole->set_state(positions[k]);
      EXPECT_EQ(whole->state(), positions[k]);
      for (size_t n = k; n < std::min(k + 2, kSteps); ++n)
        ASSERT_TRUE(same_step(whole->next(), expected[n])) << workers << " workers, stopped at " << k << ", step " << n;
    }
  }
}

}  // namespace
}  // namespace mugato::data
