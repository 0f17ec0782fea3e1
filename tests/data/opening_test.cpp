#include "mugato/data/opening.h"

#include <gtest/gtest.h>

#include "fake_sources.h"
#include "message_of.h"
#include "mugato/data/entry_world.h"
#include "mugato/data/rewards.h"
#include "mugato/data/world_source.h"
#include "mugato/env/four_rooms.h"
#include "mugato/env/point_maze.h"

namespace mugato::data {
namespace {

// Clocks that tell their rewards: of timestep e, 10 e + 1.
class PaidSource : public ClockSource {
 public:
  using ClockSource::ClockSource;
  Episode get(int64_t index) const override {
    auto episode = ClockSource::get(index);
    episode.rewards = at::arange(episode.num_steps, at::kDouble) * 10.0 + 1.0;
    episode.total_return = episode.rewards.sum().item<double>();
    return episode;
  }
};

SourceRegistry registry() {
  SourceRegistry sources{"data source"};
  sources.add("paid",
              [](const auto&, Split split) { return std::make_unique<PaidSource>(split == Split::kTrain ? 40 : 10, 9); });
  sources.add("clock", [](const auto&, auto) { return std::make_unique<ClockSource>(40, 9); });
  return sources;
}

TEST(Rewards, AreObservedATimestepLate) {
  EntryFacts facts;
  const auto source = open_training(registry(), {.source = "paid", .reward = true}, facts);
  const auto f = static_cast<size_t>(source->schema().index_of("reward"));
  for (int64_t i = 0; i < source->size(); ++i) {
    const auto episode = source->get(i);
    const auto& seen = episode.fields[f].values;
    ASSERT_EQ(seen.size(0), episode.num_steps);
    for (int64_t e = 0; e < episode.num_steps; ++e)
      EXPECT_EQ(seen[e].item<double>(), e == 0 ? 0.0 : 10.0 * static_cast<double>(e - 1) + 1.0);
  }
  EXPECT_EQ(source->schema().fields[f].role, Role::kObservation);
}

TEST(Rewards, ThatAreNotThereAreErrors) {
  EntryFacts facts;
  const auto source = open_training(registry(), {.source = "clock", .reward = true}, facts);
  EXPECT_NE(testing::message_of([&] { source->get(3); }).find("clock episode 3 has no rewards"), std::string::npos);
  EXPECT_NE(testing::message_of([&] { with_reward(source->schema(), "paid"); }).find("has a field 'reward' already"),
            std::string::npos);
}

// What an agent sees in a world is what the demonstrations of it showed.
TEST(EntryWorld, ShowsWhatTheSourceOfItsEntryShows) {
  SourceRegistry sources{"data source"};
  add_world(sources, "rooms", [] { return std::make_unique<env::FourRooms>(); });
  add_world(sources, "maze", [] { return std::make_unique<env::PointMaze>(); });
  const DataEntry rooms{.source = "rooms", .images = {.policy = "resize", .size = {32, 48}}, .reward = true},
      maze{.source = "maze", .reward = true};
  for (const auto* entry : {&rooms, &maze}) {
    EntryFacts facts;
    const auto source = open_training(sources, *entry, facts);
    std::unique_ptr<env::Environment> world;
    if (entry == &rooms) world = std::make_unique<env::FourRooms>();
    else world = std::make_unique<env::PointMaze>();
    world = world_of_entry(std::move(world), *entry);
    ASSERT_EQ(world->schema().fields.size(), source->schema().fields.size());
    const auto shown = env::demonstrate(*world, world_seed(Split::kTrain, 3)), expected = source->get(3);
    ASSERT_EQ(shown.num_steps, expected.num_steps);
    for (size_t f = 0; f < expected.fields.size(); ++f) {
      EXPECT_EQ(world->schema().fields[f].name, source->schema().fields[f].name);
      EXPECT_EQ(world->schema().fields[f].shape, source->schema().fields[f].shape);
      EXPECT_EQ(shown.fields[f].text, expected.fields[f].text);
      if (expected.fields[f].values.defined()) {
        EXPECT_TRUE(shown.fields[f].values.equal(expected.fields[f].values)) << world->schema().fields[f].name;
      }
    }
    EXPECT_NEAR(expected.rewards.sum().item<double>(), expected.total_return, 1e-9);
  }
  const auto plain = std::make_unique<env::FourRooms>().release();
  std::unique_ptr<env::Environment> owned(plain);
  EXPECT_EQ(world_of_entry(std::move(owned), {.source = "rooms"}).get(), plain) << "nothing to change";
}

TEST(OpenTraining, SelectsForTrainingAlone) {
  const DataEntry entry{.source = "paid", .top = 5};
  EntryFacts facts;
  const auto training = open_training(registry(), entry, facts);
  EXPECT_EQ(training->size(), 5);
  EXPECT_EQ(facts.episodes, 5);
  EXPECT_EQ(facts.found, 40);
  EXPECT_EQ(open_evaluation(registry(), entry, facts)->size(), 10);
  double worst = INFINITY;
  for (int64_t i = 0; i < 5; ++i) worst = std::min(worst, training->get(i).total_return);
  int64_t better = 0;
  for (int64_t i = 0; i < 40; ++i) better += PaidSource(40, 9).get(i).total_return > worst;
  EXPECT_LT(better, 5);
}

TEST(OpenTraining, MeasuresOnceAndKeepsWhatWasMeasured) {
  const DataEntry entry{.source = "paid", .normalize = "min_max", .reward = true};
  EntryFacts facts;
  const auto training = open_training(registry(), entry, facts);
  const auto& field = training->schema().field("reward");
  EXPECT_FALSE(field.mu_law);
  EXPECT_EQ(field.low, (std::vector<double>{0.0}));
  EXPECT_EQ(field.high, (std::vector<double>{71.0})) << "the last reward of nine timesteps is never seen";
  facts.ranges.at("reward").high = {500.0};
  EXPECT_EQ(open_training(registry(), entry, facts)->schema().field("reward").high, (std::vector<double>{500.0}));
  EXPECT_EQ(open_evaluation(registry(), entry, facts)->schema().field("reward").high, (std::vector<double>{500.0}));
  EXPECT_EQ(acting_schema(shown_schema(PaidSource(1, 1).schema(), entry), entry, facts).field("reward").high,
            (std::vector<double>{500.0}));
  auto other = entry;
  other.normalize = "quantile";
  EXPECT_NE(testing::message_of([&] {
              open_training(registry(), other, facts);
            }).find("normalize is \"quantile\", the run was started with \"min_max\""),
            std::string::npos);
}

TEST(OpenTraining, SizesOfImagesWithoutImagesAreAnError) {
  EntryFacts facts;
  EXPECT_NE(testing::message_of([&] {
              open_training(registry(), {.source = "clock", .images = {.max_side = 9}}, facts);
            }).find("it has no image"),
            std::string::npos);
}

}  // namespace
}  // namespace mugato::data
