#include "mugato/train/trainer.h"

#include <gtest/gtest.h>

#include "mugato/core/error.h"
#include "training.h"

namespace mugato {
namespace {

using testing::Process;
using testing::Recipe;
using testing::Recorder;
using testing::snapshot;
using testing::TemporaryFolder;

TEST(Resume, IsBitIdenticalWhereverTheRunWasStopped) {
  Recipe recipe;
  recipe.train.micro_rows = 3;  // a smaller last micro-batch too
  const TemporaryFolder folder;
  Process straight(recipe, folder / "straight", false);
  straight.run();
  const auto expected = snapshot(straight);
  for (const int64_t k : {1, 2, 3, 5, 7}) {
    const auto run = folder / std::to_string(k);
    Recipe first = recipe;
    first.optim.decay_steps = recipe.train.steps;  // the schedule of the whole run
    first.train.steps = k;
    Process before(first, run, false);
    before.run();
    Process after(recipe, run, true);
    EXPECT_EQ(after.state.step, k);
    after.run();
    testing::expect_same(snapshot(after), expected);
    for (int64_t step = 1; step <= recipe.train.steps; ++step) {
      const auto& part = step <= k ? before.metrics : after.metrics;
      for (const char* name : {"train/loss", "train/loss/left", "train/gradient_norm", "train/learning_rate",
                               "data/samples/left", "data/tokens/right"})
        EXPECT_EQ(part.at(step, name), straight.metrics.at(step, name)) << name << " at step " << step << ", stopped at " << k;
    }
  }
}

TEST(Trainer, MicroBatchesGiveTheLossAndGradientOfTheWholeStep) {
  Recipe recipe;
  recipe.dropout = 0.0;
  recipe.train.steps = 3;
  const TemporaryFolder folder;
  Process whole(recipe, folder / "whole", false);
  whole.run();
  for (const int64_t micro_rows : {1, 2, 3}) {
    recipe.train.micro_rows = micro_rows;
    Process split(recipe, folder / std::to_string(micro_rows), false);
    split.run();
    for (int64_t step = 1; step <= 3; ++step)
      for (const char* name : {"train/loss", "train/loss/left", "train/loss/right", "train/gradient_norm"}) {
        const double expected = whole.metrics.at(step, name);
        EXPECT_NEAR(split.metrics.at(step, name), expected, 2e-5 * expected) << name << " at step " << step;
      }
  }
}

TEST(Trainer, TheLossIsTheWeightedMeanOverTargets) {
  Recipe recipe;
  recipe.train.steps = 1;
  const TemporaryFolder folder;
  Process process(recipe, folder.path(), false);
  testing::MadeUpStream stream(recipe.seed, recipe.train.rows, recipe.train.rows);
  const auto counts = stream.next().counts;
  process.run();
  const auto left = static_cast<double>(counts[0].targets), right = 0.5 * static_cast<double>(counts[1].targets);
  const auto& metrics = process.metrics;
  EXPECT_NEAR(metrics.at(1, "train/loss"),
              (left * metrics.at(1, "train/loss/left") + right * metrics.at(1, "train/loss/right")) / (left + right), 1e-9);
}

TEST(Trainer, WritesEveryMetricOnceAStep) {
  Recipe recipe;
  recipe.train.log_every = 2;
  const TemporaryFolder folder;
  Process process(recipe, folder.path(), false);
  process.run();
  std::set<int64_t> steps;
  for (const auto& [key, count] : process.metrics.num_writes) {
    EXPECT_EQ(count, 1) << key.second << " at step " << key.first;
    steps.insert(key.first);
  }
  EXPECT_EQ(steps, (std::set<int64_t>{2, 4, 6, 8}));
  EXPECT_GT(process.metrics.num_flushes, 0);
  for (const char* name :
       {"train/loss", "train/learning_rate", "train/gradient_norm", "train/tokens_per_second", "train/data_wait",
        "train/useful_tokens", "data/samples/left", "data/tokens/left", "data/targets/left"})
    EXPECT_TRUE(process.metrics.values.contains({8, name})) << name;
  EXPECT_GT(process.metrics.at(8, "train/data_wait"), 0.0);
  EXPECT_LT(process.metrics.at(8, "train/data_wait"), 1.0);
  // Two documents a row, four rows, eight steps.
  EXPECT_EQ(process.metrics.at(8, "data/samples/left") + process.metrics.at(8, "data/samples/right"), 64);
}

TEST(Trainer, CountsClippedValuesWhereThereAreAny) {
  const TemporaryFolder folder;
  Process process(Recipe{}, folder.path(), false);
  process.stream.clipped_per_step = {0, 3};
  process.run();
  EXPECT_EQ(process.metrics.at(1, "data/clipped/right"), 3);
  EXPECT_EQ(process.metrics.at(8, "data/clipped/right"), 24);
  EXPECT_FALSE(process.metrics.values.contains({8, "data/clipped/left"}));
}

TEST(Trainer, KeepsTheBestByTheEvaluationLoss) {
  Recipe recipe;
  recipe.train.evaluate_every = 2;
  recipe.train.keep = 1;
  const TemporaryFolder folder;
  Process process(recipe, folder.path(), false);
  const std::map<int64_t, double> losses{{2, 3.0}, {4, 1.0}, {6, 2.0}, {8, NAN}};
  std::vector<int64_t> asked;
  bool trained = true;
  process.parts.evaluate = [&](int64_t step) {
    EXPECT_FALSE(process.agent->is_training()) << "dropout while evaluating";
    asked.push_back(step);
    return std::map<std::string, double>{{"loss", losses.at(step)}, {"accuracy/left", 0.5}};
  };
  process.parts.on_step = [&](const StepReport&) { trained = trained && process.agent->is_training(); };
  process.run();
  EXPECT_EQ(asked, (std::vector<int64_t>{2, 4, 6, 8}));
  EXPECT_TRUE(trained);
  EXPECT_EQ(process.metrics.at(6, "eval/loss"), 2.0);
  EXPECT_EQ(process.metrics.at(8, "eval/accuracy/left"), 0.5);
  EXPECT_EQ(process.state.best_score, 1.0);
  EXPECT_EQ(std::filesystem::read_symlink(folder.path() / "checkpoints/best"), "step-0000004");
  EXPECT_EQ(std::filesystem::read_symlink(folder.path() / "checkpoints/latest"), "step-0000008");
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "checkpoints/step-0000004/DONE"));
}

TEST(Trainer, StopsAtASignalWithACheckpointOfThatStep) {
  Recipe recipe;
  const TemporaryFolder folder;
  Process process(recipe, folder.path(), false);
  process.parts.on_step = [](const StepReport& report) {
    if (report.step == 3) std::raise(SIGTERM);
  };
  process.run();
  EXPECT_EQ(process.state.step, 3);
  EXPECT_EQ(process.store.newest().value().filename(), "step-0000003");
}

TEST(Trainer, StoppedBeforeTheFirstStepSavesTheStart) {
  const Recipe recipe;
  const TemporaryFolder folder;
  Process process(recipe, folder.path(), false);
  const auto start = snapshot(process);
  {
    const StopSignal stop;
    std::raise(SIGTERM);
    Trainer(recipe.train, recipe.optim, recipe.seed, at::kCPU, process.parts).run(stop);
  }
  EXPECT_EQ(process.store.newest().value().filename(), "step-0000000");
  Process after(recipe, folder.path(), true);
  testing::expect_same(snapshot(after), start);
}

TEST(Trainer, ARunThatIsAtItsEndIsNeitherTrainedNorSavedAgain) {
  const Recipe recipe;
  const TemporaryFolder folder;
  Process process(recipe, folder.path(), false);
  process.state.step = recipe.train.steps;
  process.run();
  EXPECT_TRUE(process.metrics.values.empty());
  EXPECT_FALSE(process.store.newest());
}

// The loss or only its gradient is poisoned in the steps from `first` to `last`.
class Poisoned : public Objective {
 public:
  Poisoned(Objective& objective, int64_t first, int64_t last, bool loss_too)
      : objective_(objective), first_(first), last_(last), loss_too_(loss_too) {}
  LossTerms loss(const MicroBatch& batch, const std::vector<double>& weights) override {
    auto terms = objective_.loss(batch, weights);
    if (++calls_ < first_ || calls_ > last_) return terms;
    if (loss_too_) {
      terms.sums[0] = NAN;
    } else {
      const at::Tensor x = objective_.module().parameters().front();
      terms.weighted_sum = terms.weighted_sum + at::sqrt(x - x.detach()).sum();  // adds 0; its slope is not finite
    }
    return terms;
  }
  torch::nn::Module& module() override { return objective_.module(); }

 private:
  Objective& objective_;
  int64_t first_, last_, calls_ = 0;
  bool loss_too_;
};

struct PoisonedRun {
  PoisonedRun(const Recipe& recipe, int64_t first, int64_t last, bool loss_too)
      : process(recipe, folder.path(), false), poisoned(process.objective, first, last, loss_too) {
    Trainer::Parts parts{.objective = poisoned,
                         .optimizer = process.optimizer,
                         .stream = process.stream,
                         .checkpoints = process.store,
                         .metrics = process.metrics,
                         .domain_weights = recipe.weights};
    parts.on_step = [this](const StepReport& report) {
      after[report.step] = snapshot(process);
      if (!report.skipped.empty()) reasons.push_back(report.skipped);
    };
    const StopSignal stop;
    Trainer trainer(recipe.train, recipe.optim, recipe.seed, at::kCPU, parts);
    try {
      trainer.run(stop);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 1);
      failure = error.what();
    }
    state = trainer.state();
  }

  TemporaryFolder folder;
  Process process;
  Poisoned poisoned;
  std::map<int64_t, std::map<std::string, at::Tensor>> after;  // weights and optimizer, by step
  std::vector<std::string> reasons;
  std::string failure;
  TrainState state;
};

TEST(Trainer, AStepThatIsNotFiniteIsSkippedAndCounted) {
  for (const bool loss_too : {true, false}) {
    Recipe recipe;
    recipe.train.most_skipped = 3;
    PoisonedRun run(recipe, 5, 6, loss_too);
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.state.step, 8);
    EXPECT_EQ(run.state.skipped_steps, 2);
    testing::expect_same(run.after.at(5), run.after.at(4));
    testing::expect_same(run.after.at(6), run.after.at(4));
    EXPECT_FALSE(run.after.at(7).begin()->second.equal(run.after.at(6).begin()->second));
    ASSERT_EQ(run.reasons.size(), 2U);
    EXPECT_EQ(run.reasons[0], loss_too ? "the loss of left is not finite" : "the gradient of left, right is not finite");
    const auto written = [&](int64_t step) { return run.process.metrics.values.count({step, "train/skipped_steps"}); };
    EXPECT_EQ(written(4), 0U);
    EXPECT_EQ((run.process.metrics.values.at({8, "train/skipped_steps"})), 2.0);
    EXPECT_EQ(CheckpointStore::load(run.process.store.newest().value(), *run.process.agent, nullptr).skipped_steps, 2);
  }
}

TEST(Trainer, StepsInARowThatAreNotFiniteEndTheRunBeforeAnyUpdate) {
  for (const int64_t most : {1, 3}) {
    Recipe recipe;
    recipe.train.save_every = 2;
    recipe.train.most_skipped = most;
    PoisonedRun run(recipe, 5, 99, /*loss_too=*/true);
    EXPECT_NE(run.failure.find("the loss of left is not finite at step " + std::to_string(4 + most)), std::string::npos)
        << run.failure;
    testing::expect_same(snapshot(run.process), run.after.at(4));
    Process again(recipe, run.folder.path(), true);
    for (const auto& [name, tensor] : snapshot(again)) EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;
  }
}

}  // namespace
}  // namespace mugato
