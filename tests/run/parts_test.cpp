#include <gtest/gtest.h>

#include "mugato/env/shapes_qa.h"
#include "mugato/run/evaluate.h"
#include "mugato/run/inspect.h"
#include "tiny_run.h"

namespace mugato::run {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

// One run for the tests that only read it.
class TrainedRun : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    const Registries registries;
    train(tiny_config(*folder_ / "run", {"train.steps=4", "train.save_every=2", "train.keep=5"}), registries, false);
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static fs::path run() { return *folder_ / "run"; }

  Registries registries_;
  static inline std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(TrainedRun, IsLoadedFromItsFolderOrACheckpoint) {
  const auto newest = Parts::load(run(), registries_), older = Parts::load(run() / "checkpoints/step-0000002", registries_),
             latest = Parts::load(run() / "checkpoints/latest", registries_);
  EXPECT_EQ(newest.step, 4);
  EXPECT_EQ(latest.step, 4);
  EXPECT_EQ(older.step, 2);
  EXPECT_EQ(newest.checkpoint.filename(), "step-0000004");
  EXPECT_FALSE(newest.agent->is_training());
  EXPECT_TRUE(newest.agent->head().equal(latest.agent->head()));
  EXPECT_FALSE(newest.agent->head().equal(older.agent->head()));
  EXPECT_EQ(newest.config.data[0].max_steps, 2);
}

TEST_F(TrainedRun, ActsFromItsFolderAlone) {
  const TemporaryFolder elsewhere;
  fs::copy(run() / "checkpoints/step-0000004", elsewhere / "checkpoint", fs::copy_options::recursive);
  auto parts = Parts::load(elsewhere / "checkpoint", registries_, {"tokens.text=not there", "act.temperature=0"});
  EXPECT_EQ(parts.config.act.temperature, 0.0);
  EXPECT_EQ(play(parts, registries_, "shapes_qa", 3).scores.episodes, 3);
}

TEST_F(TrainedRun, WhatIsNotARunIsAnErrorThatSaysSo) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "empty");
  expect_mentions(message_of([&] { Parts::load(folder / "nowhere", registries_); }), {"no such run", "\nhint: "});
  expect_mentions(message_of([&] { Parts::load(folder / "empty", registries_); }), {"no complete checkpoint", "\nhint: "});
  fs::copy(run() / "checkpoints/step-0000004", folder / "checkpoint", fs::copy_options::recursive);
  expect_mentions(message_of([&] { Parts::load(folder / "checkpoint", registries_, {"model.width=64"}); }),
                  {"has shape", "\nhint: "});
  fs::remove(folder / "checkpoint/DONE");
  expect_mentions(message_of([&] { Parts::load(folder / "checkpoint", registries_); }), {"not a complete folder", "\nhint: "});
}

TEST_F(TrainedRun, HeldOutLossesAreFiniteAndRepeatable) {
  const auto parts = Parts::load(run(), registries_);
  const auto metrics = held_out_losses(parts, registries_, 3);
  for (const char* name :
       {"loss", "loss/four_rooms", "loss/point_maze", "loss/shapes_qa", "loss/stories", "accuracy/stories"}) {
    ASSERT_TRUE(metrics.contains(name)) << name;
    EXPECT_TRUE(std::isfinite(metrics.at(name)));
  }
  EXPECT_EQ(metrics, held_out_losses(parts, registries_, 3));
  const auto& m = metrics;
  EXPECT_NEAR(m.at("loss"),
              (2 * m.at("loss/four_rooms") + m.at("loss/point_maze") + m.at("loss/shapes_qa") + m.at("loss/stories")) / 5,
              1e-9);
}

TEST(Registries, AWorldThatIsAddedCanBePlayedAndTrainedOn) {
  Registries registries;
  registries.add_world("another", [] { return std::make_unique<env::ShapesQa>(); });
  const auto source = registries.sources.build("another", data::DataEntry{.source = "another"}, data::Split::kEvaluation);
  const auto world = registries.environments.build("another");
  EXPECT_EQ(std::get<std::string>(world->reset(env::evaluation_seed(5)).at("question")), source->get(5).fields[1].text[0]);
  EXPECT_EQ(source->get(5).id, "another episode 5");
  expect_mentions(message_of([&] { registries.add_world("another", [] { return nullptr; }); }),
                  {"environment 'another' is registered twice"});
}

TEST_F(TrainedRun, StoriesAreScoredAgainstTheGrammar) {
  const auto parts = Parts::load(run(), registries_);
  const auto scores = score_stories(parts, 5);
  EXPECT_GT(scores.entropy, 0.0);
  EXPECT_GT(scores.random, scores.entropy);
  EXPECT_GT(scores.loss_over_entropy(), 1.0) << "better than the floor";
}

TEST_F(TrainedRun, ItsPolicyRemembersWhatItsWindowsHeld) {
  const auto parts = Parts::load(run(), registries_);
  const auto world = registries_.environments.build("four_rooms");
  auto policy = parts.policy(world->schema(), "four_rooms", 1);
  auto observation = world->reset(1);
  int64_t longest = 0;
  for (int64_t turn = 0; turn < 8; ++turn) {
    const auto actions = policy.act(std::vector<int64_t>{0}, std::vector<Observation>{observation});
    longest = std::max(longest, policy.uncached(0).layout.timestep.max().item<int64_t>() + 1);
    auto result = world->step(actions[0]);
    observation = result.done ? world->reset(2) : std::move(result.observation);
  }
  EXPECT_EQ(longest, 2) << "max_steps of its [[data]] entry";
}

TEST_F(TrainedRun, PlayingIsRepeatableAndUnknownWorldsNameTheNearest) {
  const auto parts = Parts::load(run(), registries_);
  const auto a = play(parts, registries_, "point_maze", 3, 10), b = play(parts, registries_, "point_maze", 3, 10);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(a.episodes[i].seed, env::evaluation_seed(10 + i));
    EXPECT_EQ(a.episodes[i].total_return, b.episodes[i].total_return);
  }
  expect_mentions(message_of([&] { play(parts, registries_, "pointmaze", 1); }), {"'pointmaze'", "did you mean 'point_maze'?"});
}

TEST(Parts, WeightsFollowFromTheSeed) {
  const Registries registries;
  const auto a = Parts::build(tiny_config("x"), registries), b = Parts::build(tiny_config("x"), registries),
             c = Parts::build(tiny_config("x", {"run.seed=4"}), registries);
  EXPECT_TRUE(a.agent->head().equal(b.agent->head()));
  EXPECT_FALSE(a.agent->head().equal(c.agent->head()));
}

TEST(Parts, WithoutATextTokenizerTextIsAnErrorThatSaysWhatToSet) {
  const Registries registries;
  const TemporaryFolder folder;
  expect_mentions(message_of([&] { train(tiny_config(folder / "run", {"tokens.text="}), registries, false); }),
                  {"no text tokenizer", "\nhint: set tokens.text"});
}

TEST(Inspect, ATableHasEveryTokenOfTheSample) {
  const Registries registries;
  const auto parts = Parts::build(tiny_config("x"), registries);
  const auto& vocabulary = parts.tokenizer->vocabulary();
  for (const auto& entry : parts.config.data) {
    const auto inspected = inspect_sample(parts, registries, entry.source, 1);
    const auto rows = token_table(inspected.batch, *inspected.schema, *parts.tokenizer);
    EXPECT_EQ(static_cast<int64_t>(rows.size()), inspected.batch.layout.num_tokens());
    int64_t targets = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].slot, static_cast<int64_t>(i));
      if (rows[i].target < 0) continue;
      ++targets;
      ASSERT_LT(i + 1, rows.size());
      EXPECT_EQ(rows[i].target, rows[i + 1].id) << "the target is the next token";
    }
    EXPECT_EQ(targets, inspected.batch.layout.num_targets());
    EXPECT_GT(targets, 0);
    for (const auto& row : rows) {
      EXPECT_FALSE(row.value.empty());
      EXPECT_EQ(row.id == TokenLayout::kPatch, row.modality == "image");
      EXPECT_EQ(row.field.empty(), row.id == vocabulary.separator() || row.id == vocabulary.end());
    }
  }
  expect_mentions(message_of([&] { inspect_sample(parts, registries, "storys", 0); }), {"'storys'", "did you mean 'stories'?"});
}

}  // namespace
}  // namespace mugato::run
