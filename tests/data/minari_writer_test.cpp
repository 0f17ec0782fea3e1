#include "mugato/data/minari_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "message_of.h"
#include "minari_helpers.h"
#include "temporary_folder.h"

namespace mugato::data {
namespace {

using mugato::testing::message_of;
using mugato::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::open_minari;

// The leaf of a raw episode that a field was written to.
const Leaf& leaf_of(const RawEpisode& raw, const FieldSpec& field, bool only_action) {
  const std::string group = field.is_target() ? "actions" : "observations";
  const std::string name = field.is_target() && only_action ? "" : field.name;
  for (const auto& leaf : raw.leaves)
    if (leaf.group == group && leaf.name == name) return leaf;
  throw std::runtime_error("no leaf " + group + "/" + name);
}

// All timesteps of a field, of an observation the last one too.
void expect_written(const FieldSpec& field, const env::Recording& played, const FieldValues& values, const Leaf& leaf) {
  const auto steps = played.episode.num_steps;
  if (field.modality == Modality::kText) {
    auto text = values.text;
    if (!field.is_target()) text.push_back(std::get<std::string>(played.last.at(field.name)));
    EXPECT_EQ(leaf.text, text) << field.name;
    return;
  }
  EXPECT_TRUE(leaf.values.narrow(0, 0, steps).to(values.values.scalar_type()).equal(values.values)) << field.name;
  ASSERT_EQ(leaf.values.size(0), field.is_target() ? steps : steps + 1);
  if (!field.is_target()) {
    EXPECT_TRUE(leaf.values[steps].to(values.values.scalar_type()).equal(std::get<at::Tensor>(played.last.at(field.name))));
  }
}

TEST(MinariWriter, WhatIsReadBackIsWhatTheExpertDid) {
  env::EnvironmentRegistry worlds("environment");
  env::register_builtins(worlds);
  const TemporaryFolder folder;
  for (const auto& name : worlds.names()) {
    const auto world = worlds.build(name);
    const MinariRecording recording{.folder = folder / name, .world = name, .num_episodes = 4, .first_seed = 11};
    const auto totals = write_minari(*world, recording);
    const auto source = open_minari(recording.folder);
    ASSERT_EQ(source->size(), 4);
    EXPECT_EQ(source->schema().fields.size(), world->schema().fields.size());
    int64_t num_steps = 0;
    for (int64_t i = 0; i < 4; ++i) {
      const auto played = env::record(*world, env::train_seed(11 + static_cast<uint64_t>(i)));
      const auto raw = source->raw(i);
      EXPECT_EQ(raw.num_steps, played.episode.num_steps);
      num_steps += raw.num_steps;
      EXPECT_NEAR(source->get(i).total_return, played.episode.total_return, 1e-12);
      for (size_t f = 0; f < world->schema().fields.size(); ++f)
        expect_written(world->schema().fields[f], played, played.episode.fields[f],
                       leaf_of(raw, world->schema().fields[f], true));
      const auto attributes = nlohmann::json::parse(raw.attributes);
      EXPECT_EQ(attributes["seed"], 11 + i);
      EXPECT_DOUBLE_EQ(attributes["rewards_sum"].get<double>(), played.episode.total_return);
    }
    EXPECT_EQ(totals.num_steps, num_steps);
    EXPECT_EQ(nlohmann::json::parse(source->about())["dataset_id"], "mugato/" + name + "/expert-v0");
  }
}

// Two timesteps of every kind of field, with two actions.
class ManyKinds final : public env::Environment {
 public:
  ManyKinds() {
    schema_.fields = {
        {.name = "grid", .modality = Modality::kDiscrete, .shape = {2, 1, 3}, .cells = true, .num_values = {3, 9, 2}},
        {.name = "pair", .modality = Modality::kDiscrete, .shape = {2}, .num_values = {5}},
        {.name = "speed", .modality = Modality::kContinuous, .shape = {}, .mu_law = true},
        {.name = "arm", .modality = Modality::kContinuous, .role = Role::kAction, .shape = {2}, .low = {-1, 0}, .high = {1, 4}},
        {.name = "words", .modality = Modality::kText, .role = Role::kAnswer}};
  }
  const Schema& schema() const override { return schema_; }
  Observation reset(uint64_t) override {
    steps_ = 0;
    return observe();
  }
  env::StepResult step(const Action&) override { return {.observation = observe(), .reward = 0.5, .done = ++steps_ == 2}; }
  Action expert() override { return {{"arm", at::tensor({-0.5F, 3.0F})}, {"words", says}}; }
  int64_t max_steps() const override { return 2; }
  env::ReferenceScores reference_scores() const override { return {}; }
  at::Tensor picture() const override { return {}; }

  std::string says = "well";

 private:
  Observation observe() const {
    return {{"grid", at::tensor({2, 8, 1, 0, 0, 0}, at::kLong).reshape({2, 1, 3})},
            {"pair", at::tensor({4, 1}, at::kLong)},
            {"speed", at::scalar_tensor(100.0F * static_cast<float>(steps_), at::kFloat)}};
  }

  Schema schema_;
  int64_t steps_ = 0;
};

TEST(MinariWriter, EveryKindOfFieldComesBackAsWhatItWas) {
  const TemporaryFolder folder;
  ManyKinds world;
  write_minari(world, {.folder = folder / "set", .world = "kinds", .num_episodes = 1});
  const auto source = open_minari(folder / "set");
  for (const auto& field : world.schema().fields) {
    const auto& back = source->schema().field((field.is_target() ? "action/" : "") + field.name);
    EXPECT_EQ(back.modality, field.modality);
    EXPECT_EQ(back.role, field.role);
    EXPECT_EQ(back.shape, field.shape);
    EXPECT_EQ(back.cells, field.cells);
    EXPECT_EQ(back.num_values, field.num_values);
    EXPECT_EQ(back.mu_law, field.mu_law);
    if (field.role == Role::kAction) {
      EXPECT_EQ(std::pair(back.low, back.high), std::pair(field.low, field.high));
    }
  }
  const auto raw = source->raw(0);
  const auto played = env::record(world, 0);
  for (size_t f = 0; f < world.schema().fields.size(); ++f)
    expect_written(world.schema().fields[f], played, played.episode.fields[f], leaf_of(raw, world.schema().fields[f], false));
  // It neither failed nor succeeded: it was cut at its longest.
  const auto& truncations = raw.leaves.back();
  EXPECT_EQ(truncations.name, "truncations");
  EXPECT_TRUE(truncations.values.equal(at::tensor({0, 1}).to(at::kBool)));
}

TEST(MinariWriter, AFolderAppearsWholeAndReplacesNothing) {
  const TemporaryFolder folder;
  ManyKinds world;
  world.says = "line\nbreak";
  const MinariRecording recording{.folder = folder / "set", .world = "kinds", .num_episodes = 2};
  EXPECT_THAT(message_of([&] { write_minari(world, recording); }), HasSubstr("field 'words' holds a text"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  world.says = "fine";
  write_minari(world, recording);
  EXPECT_THAT(message_of([&] { write_minari(world, recording); }), HasSubstr("set' is there already"));
  EXPECT_THAT(message_of([&] { write_minari(world, {.folder = folder / "none", .world = "kinds", .num_episodes = 0}); }),
              HasSubstr("needs an episode"));
}

}  // namespace
}  // namespace mugato::data
