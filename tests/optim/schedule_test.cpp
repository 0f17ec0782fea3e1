#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mugato/core/error.h"
#include "mugato/optim/adamw.h"

namespace mugato {
namespace {

const OptimizerOptions kCosine{.learning_rate = 1e-3, .warmup = 100, .warmup_start = 1e-5, .final_ratio = 0.1};
constexpr int64_t kSteps = 1100;

TEST(LearningRate, WarmsUpLinearlyFromTheStartToThePeak) {
  const double slope = (1e-3 - 1e-5) / 100;
  EXPECT_DOUBLE_EQ(learning_rate(kCosine, 0, kSteps), 1e-5 + slope) << "the first update is not wasted on the start";
  EXPECT_DOUBLE_EQ(learning_rate(kCosine, 49, kSteps), (1e-3 + 1e-5) / 2);
  EXPECT_DOUBLE_EQ(learning_rate(kCosine, 99, kSteps), 1e-3);
  for (int64_t step = 1; step < 100; ++step)
    EXPECT_NEAR(learning_rate(kCosine, step, kSteps) - learning_rate(kCosine, step - 1, kSteps), slope, 1e-15);
}

TEST(LearningRate, FallsAsACosineToItsShareOfThePeakAndStaysThere) {
  EXPECT_DOUBLE_EQ(learning_rate(kCosine, 100, kSteps), 1e-3);
  EXPECT_DOUBLE_EQ(learning_rate(kCosine, 600, kSteps), 0.55e-3);  // half-way between the peak and a tenth of it
  EXPECT_NEAR(learning_rate(kCosine, 350, kSteps), 1e-4 + 0.9e-3 * 0.5 * (1.0 + std::sqrt(0.5)), 1e-15);
  EXPECT_DOUBLE_EQ(learning_rate(kCosine, 1100, kSteps), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(kCosine, 5000, kSteps), 1e-4);
  for (int64_t step = 100; step < kSteps; ++step)
    EXPECT_LT(learning_rate(kCosine, step + 1, kSteps), learning_rate(kCosine, step, kSteps));
}

TEST(LearningRate, TheCosinesEndCanBeSetApartFromTheRuns) {
  auto options = kCosine;
  options.decay_steps = 300;
  EXPECT_DOUBLE_EQ(learning_rate(options, 200, kSteps), 0.55e-3);
  EXPECT_DOUBLE_EQ(learning_rate(options, 300, kSteps), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(options, kSteps, kSteps), 1e-4);
}

TEST(LearningRate, ConstantStaysAtThePeakAfterTheWarmUp) {
  auto options = kCosine;
  options.schedule = "constant";
  EXPECT_DOUBLE_EQ(learning_rate(options, 49, kSteps), (1e-3 + 1e-5) / 2);
  for (const int64_t step : {100, 600, 1099, 9999}) EXPECT_DOUBLE_EQ(learning_rate(options, step, kSteps), 1e-3);
}

TEST(LearningRate, IsNeverZeroNorNaNAtTheEdges) {
  auto options = kCosine;
  for (const int64_t warmup : {0, 1, 10, 11})
    for (const int64_t decay_steps : {0, 1, 10}) {
      options.warmup = warmup;
      options.decay_steps = decay_steps;
      options.warmup_start = 0.0;
      for (int64_t step = 0; step < 12; ++step) {
        const double rate = learning_rate(options, step, 10);
        EXPECT_GT(rate, 0.0) << warmup << " " << decay_steps << " " << step;
        EXPECT_LE(rate, 1e-3);
      }
    }
}

TEST(OptimizerOptions, AreCheckedWhenTheyAreSet) {
  OptimizerOptions options;
  KeyTable keys;
  declare(keys, "optim.", options);
  keys.set("optim.learning_rate=0.5");
  EXPECT_EQ(options.learning_rate, 0.5);
  EXPECT_THAT([&] { keys.set("optim.schedule=linear"); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("optim.schedule")));
  EXPECT_THAT([&] { keys.set("optim.beta1=1"); }, ::testing::ThrowsMessage<Error>(::testing::HasSubstr("optim.beta1")));
}

}  // namespace
}  // namespace mugato
