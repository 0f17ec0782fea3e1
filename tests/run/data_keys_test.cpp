// Keys of [[data]] entries through training, checkpoints and acting.
#include <gtest/gtest.h>

#include "mugato/env/point_maze.h"
#include "mugato/run/evaluate.h"
#include "tiny_run.h"

namespace mugato::run {
namespace {

using testing::TemporaryFolder;

// Thirty recorded episodes of two timesteps, whose forces are `*scale` times what they were; returns rise by the index.
class Recorded : public data::Source {
 public:
  explicit Recorded(std::shared_ptr<double> scale) : scale_(std::move(scale)) {}
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return 30; }
  Episode get(int64_t index) const override {
    if (index == broken) throw Error("forces.bin, episode " + std::to_string(index) + ": torn", "mend it");
    const auto force = at::tensor({-1.0, 2.0, 0.5, 7.0 + static_cast<double>(index % 2)}, at::kDouble).view({2, 2}) * *scale_;
    return {.fields = {{at::zeros({2}, at::kFloat), {}}, {force, {}}},
            .num_steps = 2,
            .id = "recorded " + std::to_string(index),
            .total_return = static_cast<double>(index)};
  }
  int64_t broken = -1;

 private:
  std::shared_ptr<double> scale_;
  Schema schema_{{{.name = "eye", .modality = Modality::kContinuous},
                  {.name = "force", .modality = Modality::kContinuous, .role = Role::kAction, .shape = {2}}}};
};

struct RecordedRun {
  RecordedRun() {
    registries.sources.add("recorded", [this](const auto&, auto) {
      auto source = std::make_unique<Recorded>(scale);
      source->broken = broken;
      return source;
    });
  }
  RunConfig config(data::DataEntry entry, std::vector<std::string> assignments = {}) const {
    assignments.insert(assignments.begin(), {"train.rows=2", "train.context=24"});
    auto result = tiny_config(folder / "run", std::move(assignments));
    result.data = {std::move(entry)};
    return result;
  }
  std::string trained(const RunConfig& run_config, bool resume = false) const {
    ::testing::internal::CaptureStderr();
    train(run_config, registries, resume);
    return ::testing::internal::GetCapturedStderr();
  }

  TemporaryFolder folder;
  std::shared_ptr<double> scale = std::make_shared<double>(1.0);
  int64_t broken = -1;
  Registries registries;
};

TEST(DataKeys, MeasuredRangesAreThoseOfTheStartForEver) {
  const RecordedRun run;
  const data::DataEntry entry{.source = "recorded", .normalize = "min_max"};
  run.trained(run.config(entry, {"train.steps=2"}));
  *run.scale = 10.0;
  run.trained(run.config(entry, {"train.steps=4"}), true);
  auto parts = Parts::load(run.folder / "run", run.registries);
  EXPECT_EQ(parts.step, 4);
  const auto& range = parts.facts.at("recorded").ranges.at("force");
  EXPECT_EQ(range.low, (std::vector<double>{-1.0, 2.0}));
  EXPECT_EQ(range.high, (std::vector<double>{0.5, 8.0}));
  EXPECT_GT(metric(run.folder / "run", "data/clipped/recorded").at(4), 0.0) << "ten times as large as before";

  // What the policy writes is in the units of the data, each value within its range.
  const Schema plain = Recorded(run.scale).schema();
  auto policy = parts.policy(plain, "recorded", 1);
  policy.reset(0, 1);
  for (int64_t turn = 0; turn < 30; ++turn) {
    const auto force = std::get<at::Tensor>(
        policy.act(std::vector<int64_t>{0}, std::vector<Observation>{{{"eye", at::zeros({})}}})[0]["force"]);
    EXPECT_TRUE(force[0].item<double>() >= -1.0 && force[0].item<double>() <= 0.5);
    EXPECT_TRUE(force[1].item<double>() >= 2.0 && force[1].item<double>() <= 8.0);
  }
  auto other = entry;
  other.normalize = "quantile";
  expect_mentions(message_of([&] { train(run.config(other, {"train.steps=5"}), run.registries, true); }),
                  {"normalize is \"quantile\", the run was started with \"min_max\"", "\nhint: "});
}

TEST(DataKeys, WhatIsSelectedIsSaidAndKept) {
  const RecordedRun run;
  const auto said = run.trained(run.config({.source = "recorded", .top = 4}, {"train.steps=2"}));
  expect_mentions(said, {"recorded: trains on 4 of 30 episodes"});
  const auto parts = Parts::load(run.folder / "run", run.registries);
  EXPECT_EQ(parts.facts.at("recorded").episodes, 4);
  EXPECT_EQ(parts.facts.at("recorded").found, 30);
}

TEST(DataKeys, BrokenSamplesAreCountedSaidOnceAndSummedUpAtTheEnd) {
  RecordedRun run;
  run.broken = 7;
  const data::DataEntry entry{.source = "recorded", .on_bad_sample = "skip"};
  const auto said = run.trained(run.config(entry, {"train.steps=12", "train.evaluate_every=12", "eval.documents=10"}));
  expect_mentions(said, {"warning: recorded: 1 broken samples of step", "forces.bin, episode 7: torn"});
  const auto skipped = metric(run.folder / "run", "data/skipped/recorded");
  ASSERT_FALSE(skipped.empty());
  const auto total = static_cast<int64_t>(skipped.rbegin()->second);
  EXPECT_GE(total, 1);
  expect_mentions(said, {"recorded: " + std::to_string(total) + " broken samples were skipped in 12 steps"});
  EXPECT_EQ(metric(run.folder / "run", "eval/skipped/recorded").at(12), 1.0);
  RecordedRun strict;
  strict.broken = 7;
  expect_mentions(
      message_of([&] { train(strict.config({.source = "recorded"}, {"train.steps=12"}), strict.registries, false); }),
      {"[[data]] entry 'recorded': forces.bin, episode 7: torn", "\nhint: mend it"});
}

TEST(DataKeys, SizesWeighTheDrawsAndTheEvaluation) {
  const RecordedRun run;
  auto config = run.config({.source = "recorded", .top = 5}, {"train.steps=3", "train.evaluate_every=3", "eval.documents=5"});
  config.data.push_back({.source = "recorded", .name = "more"});
  config.mixture.weights = "size";
  run.trained(config);
  const auto few = metric(run.folder / "run", "data/samples/recorded").at(3),
             more = metric(run.folder / "run", "data/samples/more").at(3);
  EXPECT_GT(more, 2.0 * few);
  EXPECT_EQ(Parts::load(run.folder / "run", run.registries).weights(), (std::vector<double>{5, 30}));
  config.data.push_back({.source = "point_maze"});
  expect_mentions(message_of([&] { train(config, run.registries, true); }),
                  {"'point_maze' makes a new episode for every draw"});
}

TEST(DataKeys, AWorldIsPlayedAsItsEntryShowsIt) {
  const RecordedRun run;
  const data::DataEntry entry{.source = "point_maze",
                              .max_steps = 2,
                              .normalize = "quantile",
                              .statistics_episodes = 20,
                              .reward = true,
                              .prompt_share = 0.5};
  run.trained(run.config(entry, {"train.steps=2", "train.context=96"}));
  const auto parts = Parts::load(run.folder / "run", run.registries);
  EXPECT_TRUE(parts.facts.at("point_maze").ranges.contains("reward"));
  EXPECT_EQ(play(parts, run.registries, "point_maze", 2).scores.episodes, 2);
  EXPECT_GT(metric(run.folder / "run", "data/prompted/point_maze").rbegin()->second, 0.0);
}

}  // namespace
}  // namespace mugato::run
