#include <gtest/gtest.h>

#include "mugato/core/safetensors.h"
#include "mugato/run/evaluate.h"
#include "tiny_run.h"

namespace mugato::run {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

TEST(Train, ResumingGivesTheLossesAndWeightsOfTheUninterruptedRun) {
  const Registries registries;
  const TemporaryFolder folder;
  const std::vector<std::string> settings{"train.steps=6", "optim.decay_steps=6", "model.dropout=0.1", "train.micro_rows=3",
                                          "train.evaluate_every=2"};
  train(tiny_config(folder / "straight", settings), registries, false);
  for (const int64_t k : {1, 4}) {
    const auto run = folder / ("stopped at " + std::to_string(k));
    auto first = settings;
    first.push_back("train.steps=" + std::to_string(k));
    train(tiny_config(run, first), registries, false);
    auto second = settings;
    second.push_back("train.workers=2");  // how the data are made does not matter
    EXPECT_EQ(train(tiny_config(run, second), registries, true).step, 6);
    for (const char* name : {"train/loss", "train/loss/four_rooms", "train/gradient_norm", "data/tokens/stories", "eval/loss"})
      EXPECT_EQ(metric(run, name), metric(folder / "straight", name)) << name;
    EXPECT_EQ(metric(run, "train/loss").size(), 6U);
    for (const char* file : {"model.safetensors", "optimizer-rank0.safetensors"})
      EXPECT_EQ(read_file(run / "checkpoints/step-0000006" / file),
                read_file(folder / "straight/checkpoints/step-0000006" / file))
          << file;
  }
}

// Two steps of a thermometer that reads beyond its scale.
class Thermometer : public data::Source {
 public:
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return kUnbounded; }
  Episode get(int64_t) const override {
    return {.fields = {{at::tensor({20.0F, 45.0F}), {}}, {at::tensor({0, 1}, at::kLong), {}}}, .num_steps = 2, .id = "hot day"};
  }

 private:
  Schema schema_{{{.name = "celsius", .modality = Modality::kContinuous, .low = {-20.0}, .high = {40.0}},
                  {.name = "heater", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {2}}}};
};

TEST(Train, ValuesBeyondTheirRangeAreCountedAndSaidOnce) {
  Registries registries;
  registries.sources.add("thermometer", [](const auto&, auto) { return std::make_unique<Thermometer>(); });
  const TemporaryFolder folder;
  auto config = tiny_config(folder / "run", {"train.steps=3", "train.rows=1"});
  config.data = {{.source = "thermometer"}, {.source = "point_maze", .max_steps = 2}};
  ::testing::internal::CaptureStderr();
  train(config, registries, false);
  const auto said = ::testing::internal::GetCapturedStderr();
  const auto first = said.find("warning: thermometer: ");
  ASSERT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find("warning: ", first + 1), std::string::npos) << said;
  const auto clipped = metric(folder / "run", "data/clipped/thermometer");
  const auto samples = metric(folder / "run", "data/samples/thermometer");
  ASSERT_EQ(clipped.size(), 3U);
  EXPECT_EQ(clipped, samples) << "one value of each episode";
  EXPECT_TRUE(metric(folder / "run", "data/clipped/point_maze").empty());
}

TEST(Train, ARunIsNotTrainedOverWithoutResume) {
  const Registries registries;
  const TemporaryFolder folder;
  train(tiny_config(folder / "run", {"train.steps=1"}), registries, false);
  expect_mentions(message_of([&] { train(tiny_config(folder / "run"), registries, false); }),
                  {"already holds a run", "\nhint: continue it with --resume"});
  EXPECT_EQ(metric(folder / "run", "train/loss").size(), 1U);
}

TEST(Train, ResumingWithoutACheckpointStartsAtStepZeroAndWritesEveryStepOnce) {
  const Registries registries;
  const TemporaryFolder folder;
  for (const bool resume : {true, false}) {
    const auto run = folder / (resume ? "resumed" : "started");
    fs::create_directories(run);
    // What a run leaves that was killed before its first checkpoint.
    write_file_atomically(run / "metrics.jsonl",
                          "{\"step\":1,\"name\":\"train/loss\",\"value\":9.0,\"time\":1.0}\n{\"step\":2,");
    train(tiny_config(run, {"train.steps=2"}), registries, resume);
    EXPECT_EQ(metric(run, "train/loss").size(), 2U);
    EXPECT_NE(metric(run, "train/loss").at(1), 9.0);
  }
}

// What a kill leaves between the rename of the first checkpoint and its link.
TEST(Train, ACheckpointWithoutItsLinkIsResumedFrom) {
  const Registries registries;
  const TemporaryFolder folder;
  train(tiny_config(folder / "run", {"train.steps=1"}), registries, false);
  fs::remove(folder / "run/checkpoints/latest");
  EXPECT_EQ(train(tiny_config(folder / "run", {"train.steps=2"}), registries, true).step, 2);
  EXPECT_EQ(metric(folder / "run", "train/loss").size(), 2U);
}

TEST(Train, ResumingWithAnotherTokenizerIsRefused) {
  const Registries registries;
  const TemporaryFolder folder;
  train(tiny_config(folder / "run", {"train.steps=1"}), registries, false);
  const std::string other = MUGATO_FIXTURES "/sentencepiece/unigram.model";
  expect_mentions(message_of([&] { train(tiny_config(folder / "run", {"tokens.text=" + other}), registries, true); }),
                  {other, "is not the tokenizer", "checkpoints/step-0000001", "\nhint: set tokens.text to", "tokenizer.model"});
}

TEST(Train, ResumingWithAnotherModelOrNumberOfRowsIsRefused) {
  const Registries registries;
  const TemporaryFolder folder;
  train(tiny_config(folder / "run", {"train.steps=1"}), registries, false);
  expect_mentions(message_of([&] { train(tiny_config(folder / "run", {"model.width=64"}), registries, true); }),
                  {"model.safetensors: tensor '", "has shape", "\nhint: "});
  expect_mentions(message_of([&] { train(tiny_config(folder / "run", {"model.blocks=3"}), registries, true); }),
                  {"tensor 'trunk.block2", "is missing"});
  expect_mentions(message_of([&] { train(tiny_config(folder / "run", {"train.rows=5"}), registries, true); }),
                  {"4 rows, the configuration has 5", "\nhint: "});
}

TEST(Train, AnUnknownSourceOrTrunkNamesTheNearest) {
  const Registries registries;
  const TemporaryFolder folder;
  expect_mentions(message_of([&] { train(tiny_config(folder / "run", {"data.0.source=four_room"}), registries, false); }),
                  {"unknown data source 'four_room'", "\nhint: did you mean 'four_rooms'?"});
  expect_mentions(message_of([&] { train(tiny_config(folder / "run", {"model.trunk=transformr"}), registries, false); }),
                  {"unknown sequence model 'transformr'", "\nhint: did you mean 'transformer'?"});
  EXPECT_FALSE(fs::exists(folder / "run")) << "nothing is written before everything is built";
}

TEST(Train, AFolderThatCanNotBeMadeIsAnError) {
  const Registries registries;
  const TemporaryFolder folder;
  write_file_atomically(folder / "file", "");
  expect_mentions(message_of([&] { train(tiny_config(folder / "file/run"), registries, false); }),
                  {"cannot make the folder", "\nhint: "});
}

TEST(Train, TheRunFolderHoldsWhatItShould) {
  const Registries registries;
  const TemporaryFolder folder;
  train(tiny_config(folder / "run", {"train.steps=2"}), registries, false);
  const auto checkpoint = folder / "run/checkpoints/step-0000002";
  for (const char* file :
       {"model.safetensors", "optimizer-rank0.safetensors", "state.json", "config.toml", "tokenizer.model", "DONE"})
    EXPECT_TRUE(fs::is_regular_file(checkpoint / file)) << file;
  EXPECT_EQ(read_file(folder / "run/config.toml"), read_file(checkpoint / "config.toml"));
  EXPECT_EQ(fs::read_symlink(folder / "run/checkpoints/latest"), "step-0000002");
  int64_t events = 0;
  for (const auto& entry : fs::directory_iterator(folder / "run"))
    events += entry.path().filename().string().starts_with("events.out.tfevents.");
  EXPECT_EQ(events, 1);
}

// The losses of ten steps, written down: what moves them changed the data, the model or the update. After a change that is
// meant to, print them anew with --gtest_filter=Train.GoldenLossCurve. The tolerance is for other processors' sums.
TEST(Train, GoldenLossCurve) {
  const Registries registries;
  const TemporaryFolder folder;
  train(tiny_config(folder / "run"), registries, false);
  const std::vector<double> golden{7.820250, 7.813208, 7.747680, 7.757162, 7.541806,
                                   7.666780, 7.637376, 7.631781, 7.549072, 7.563347};
  const auto losses = metric(folder / "run", "train/loss");
  ASSERT_EQ(losses.size(), golden.size());
  std::string found;
  for (const auto& [step, loss] : losses) found += (step > 1 ? ", " : "") + std::to_string(loss);
  for (const auto& [step, loss] : losses)
    EXPECT_NEAR(loss, golden[static_cast<size_t>(step - 1)], 1e-3) << "at step " << step << "; all: " << found;
}

}  // namespace
}  // namespace mugato::run
