#include <gtest/gtest.h>

#include "mugato/data/windows.h"
#include "mugato/env/shapes_qa.h"
#include "mugato/nn/objective.h"
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
  auto parts = Parts::load(elsewhere / "checkpoint", registries_, {"act.temperature=0"});
  EXPECT_EQ(parts.config.act.temperature, 0.0);
  EXPECT_EQ(play(parts, registries_, "shapes_qa", 3).scores.episodes, 3);
}

TEST_F(TrainedRun, WhatIsNotARunIsAnErrorThatSaysSo) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "empty");
  expect_mentions(message_of([&] { Parts::load(folder / "nowhere", registries_); }), {"no such run", "\nhint: "});
  expect_mentions(message_of([&] { Parts::load(folder / "empty", registries_); }), {"no complete checkpoint", "\nhint: "});
  fs::copy(run() / "checkpoints/step-0000004", folder / "checkpoint", fs::copy_options::recursive);
  fs::remove(folder / "checkpoint/DONE");
  expect_mentions(message_of([&] { Parts::load(folder / "checkpoint", registries_); }), {"not a complete folder", "\nhint: "});
}

TEST_F(TrainedRun, WhatTrainingFixedCanNotBeSet) {
  const auto parts = Parts::load(run(), registries_, {"act.temperature=0.5", "act.sessions=3", "run.device=cpu"});
  EXPECT_EQ(parts.config.act.temperature, 0.5);
  for (const std::string key : {"train.steps=1", "model.width=64", "optim.warmup=3", "tokens.text=elsewhere", "run.out=there",
                                "data.0.weight=2", "eval.documents=3"})
    expect_mentions(
        message_of([&] { Parts::load(run(), registries_, {key}); }),
        {"--set " + key, "has no effect here", "\nhint: what can be set: act.temperature, act.sessions, run.device"});
  expect_mentions(message_of([&] { Parts::load(run(), registries_, {"act.temperatur=0"}); }),
                  {"unknown key", "did you mean 'act.temperature'?"});
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
}

// What training would make of the same documents: one global step that holds each as often as its entry is drawn.
double loss_of_training(const Parts& parts, const Registries& registries, int64_t episodes) {
  NextTokenObjective objective(parts.agent);
  const auto sources = parts.sources(registries, data::Split::kEvaluation);
  double sum = 0.0, count = 0.0;
  for (size_t d = 0; d < sources.size(); ++d) {
    const auto& entry = parts.config.data[d];
    const auto schema = std::make_shared<const Schema>(sources[d]->schema());
    const data::WindowCutter cutter(schema, {.context = parts.config.train.context, .max_steps = entry.max_steps},
                                    *parts.tokenizer, *parts.sequencer);
    std::vector<std::vector<Sample>> rows;  // a document a row
    for (int64_t i = 0; i < episodes; ++i)
      for (auto& document : cutter.all(sources[d]->get(i))) rows.push_back({std::move(document)});
    const auto terms = objective.loss(parts.sequencer->lay_out(rows, parts.config.train.context, 1), {1.0});
    const double share = entry.weight * entry.loss_weight / static_cast<double>(rows.size());
    sum += share * terms.sums[0];
    count += share * static_cast<double>(terms.counts[0]);
  }
  return sum / count;
}

TEST_F(TrainedRun, TheHeldOutLossWeighsTargetsAsTrainingDoes) {
  auto parts = Parts::load(run(), registries_);
  // A four_rooms document has two targets, a story about forty.
  std::erase_if(parts.config.data, [](const auto& entry) { return entry.source != "four_rooms" && entry.source != "stories"; });
  ASSERT_EQ(parts.config.data.size(), 2U);
  parts.config.data[0].loss_weight = 3.0;
  const auto metrics = held_out_losses(parts, registries_, 3);
  EXPECT_NEAR(metrics.at("loss"), loss_of_training(parts, registries_, 3), 1e-5);
  const double unweighted = (6 * metrics.at("loss/four_rooms") + metrics.at("loss/stories")) / 7;
  EXPECT_GT(std::abs(metrics.at("loss") - unweighted), 1e-3) << "the two formulas could not be told apart";
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

TEST_F(TrainedRun, AWorldThatItNeverSawIsAnErrorAndEntriesOfOneWorldArePlayedApart) {
  auto parts = Parts::load(run(), registries_);
  std::erase_if(parts.config.data, [](const auto& entry) { return entry.source == "point_maze"; });
  expect_mentions(message_of([&] { play(parts, registries_, "point_maze", 1); }),
                  {"not trained in 'point_maze'", "\nhint: it was trained on four_rooms, shapes_qa, stories"});
  parts.config.data.push_back({.source = "four_rooms", .name = "rooms_again", .max_steps = 1});
  EXPECT_EQ(play(parts, registries_, "rooms_again", 2).scores.episodes, 2);
  EXPECT_EQ(play(parts, registries_, "four_rooms", 2).scores.episodes, 2);
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

TEST(Parts, TextHasTheIdsOfItsTokenizerOrAsManyAsAreAskedFor) {
  const Registries registries;
  const auto text_ids = [&](const std::vector<std::string>& assignments) {
    return Parts::build(tiny_config("x", assignments), registries).tokenizer->vocabulary().text().size;
  };
  const int64_t pieces = text_ids({});
  EXPECT_EQ(text_ids({"tokens.text_size=" + std::to_string(pieces)}), pieces);
  EXPECT_EQ(text_ids({"tokens.text=", "tokens.text_size=32000"}), 32000);
  EXPECT_EQ(text_ids({"tokens.text=", "tokens.num_discrete=99"}), 99) << "without either, the paper's shared range stays free";
}

TEST(Parts, APresetOfThePaperWithASmallTokenizerIsAnErrorWithTheWayOut) {
  const Registries registries;
  const std::vector<std::string> sizes{"model.preset=gato-79m", "model.blocks=1", "model.heads=2", "model.ffn_width=32"};
  const auto with = [&](const std::string& assignment) {
    auto all = sizes;
    all.push_back(assignment);
    return Parts::build(tiny_config("x", all), registries);
  };
  const int64_t pieces = with("tokens.text_size=0").text->size();
  expect_mentions(
      message_of([&] { with("run.seed=1"); }),
      {"tokens.text_size is 32000", "has " + std::to_string(pieces) + " pieces", "\nhint: ", "--set tokens.text_size=0"});
}

// The largest preset within a second and no memory; its trunk has 24 blocks of 4 D^2 + 3 D F weights and what norms and biases
// add.
TEST(Parts, ShapesAreThoseOfThePartsAndNothingElse) {
  const Registries registries;
  for (const std::string preset : {"tiny", "gpt2-124m"}) {
    const auto config = tiny_config("x", {"model.preset=" + preset, "model.heads=2", "model.blocks=2"});
    const auto parts = Parts::build(config, registries), shapes = Parts::shapes(config, registries);
    ASSERT_EQ(parts.agent->named_parameters().keys(), shapes.agent->named_parameters().keys());
    for (const auto& item : shapes.agent->named_parameters()) {
      EXPECT_EQ(item.value().sizes(), parts.agent->named_parameters()[item.key()].sizes()) << item.key();
      EXPECT_TRUE(item.value().is_meta()) << item.key();
    }
  }
  const auto config = parse_config("[[data]]\nsource = \"four_rooms\"\n", "a.toml", {"model.preset=gato-1.2b", "tokens.text="});
  const auto parts = Parts::shapes(config, registries);
  int64_t count = 0;
  for (const auto& parameter : parts.agent->trunk().parameters()) count += parameter.numel();
  constexpr int64_t kBlocks = 24, kWidth = 2048, kFfn = 8192;
  constexpr int64_t kWeights = 4 * kWidth * kWidth + 3 * kWidth * kFfn, kOthers = 9 * kWidth + 2 * kFfn;
  EXPECT_EQ(count, kBlocks * (kWeights + kOthers) + 2 * kWidth);
  EXPECT_EQ(parts.agent->head().size(0), 32000 + 1024 + 1024 + 2);
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
      EXPECT_EQ(rows[i + 1].ids, std::vector<int64_t>{rows[i].target}) << "the target is the next token";
      EXPECT_EQ(rows[i].target_value, rows[i + 1].value);
    }
    EXPECT_EQ(targets, inspected.batch.layout.num_targets());
    EXPECT_GT(targets, 0);
    for (const auto& row : rows) {
      EXPECT_FALSE(row.value.empty());
      EXPECT_EQ(row.ids.empty(), row.modality == "image");
      EXPECT_EQ(row.patch.empty(), row.modality != "image");
      EXPECT_EQ(row.field.empty(), !row.ids.empty() && row.ids[0] >= vocabulary.separator());
    }
  }
  expect_mentions(message_of([&] { inspect_sample(parts, registries, "storys", 0); }), {"'storys'", "did you mean 'stories'?"});
}

TEST(Inspect, PatchesShowThePositionThatTheModelReads) {
  const Registries registries;
  const auto parts = Parts::build(tiny_config("x"), registries);
  const auto inspected = inspect_sample(parts, registries, "four_rooms", 1);
  const auto patches = [&](const std::string& patch_position) {
    std::vector<std::string> shown;
    for (const auto& row : token_table(inspected.batch, *inspected.schema, *parts.tokenizer, patch_position))
      if (row.modality == "image" && row.timestep == 0) shown.push_back(row.patch);
    return shown;
  };
  const auto numbers = patches("vit"), buckets = patches("paper");
  ASSERT_EQ(numbers.size(), 16U);
  for (size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_EQ(numbers[i], std::to_string(i));
    const auto comma = buckets[i].find(',');
    ASSERT_NE(comma, std::string::npos);
    EXPECT_EQ(std::stoul(buckets[i].substr(0, comma)) / 32, i / 4) << "four rows share 128 buckets";
    EXPECT_EQ(std::stoul(buckets[i].substr(comma + 1)) / 32, i % 4);
  }
  EXPECT_EQ(patches("none"), std::vector<std::string>(16));
}

TEST(Inspect, CellsShowAllTheirIdsAndTargetsMeanTheirField) {
  const Tokenizer tokenizer(Vocabulary({.text_size = 2000, .num_discrete = 1024, .discrete_range = DiscreteRange::kPaper}), {});
  const Sequencer sequencer(tokenizer.vocabulary(), {});
  const auto schema = std::make_shared<const Schema>(
      Schema{{{.name = "grid", .modality = Modality::kDiscrete, .shape = {2, 3}, .cells = true, .num_values = {4, 4, 4}},
              {.name = "move", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {4}},
              {.name = "push", .modality = Modality::kContinuous, .role = Role::kAction}}});
  const Episode episode{.fields = {{at::tensor({0, 1, 2, 3, 2, 1}, at::kLong).view({1, 2, 3}), {}},
                                   {at::tensor({3}, at::kLong), {}},
                                   {at::tensor({0.5}, at::kFloat), {}}},
                        .num_steps = 1};
  const std::vector<std::vector<Sample>> samples{{{schema, tokenizer.tokenize(*schema, episode)}}};
  const auto rows = token_table(sequencer.lay_out(samples, 8, 1), *schema, tokenizer);
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows[0].ids.size(), 3U);
  EXPECT_EQ(rows[0].value, "0,1,2");
  EXPECT_EQ(rows[1].value, "3,2,1");
  EXPECT_EQ(rows[2].value, "separator");
  EXPECT_EQ(rows[2].target, 3) << "an id that text has too";
  EXPECT_EQ(rows[2].target_value, "3");
  EXPECT_EQ(rows[3].target_value.substr(0, 3), "0.5");
  EXPECT_EQ(rows[4].target, -1);
}

}  // namespace
}  // namespace mugato::run
