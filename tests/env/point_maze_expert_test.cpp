// What policies reach in the maze: the expert, its scores, and simpler ones for comparison.
#include <gtest/gtest.h>

#include <cmath>

#include "env/point_maze_helpers.h"
#include "mugato/env/point_maze.h"

namespace mugato::env {
namespace {

using namespace point_maze_testing;

TEST(PointMazeExpert, ExpertIsAFunctionOfTheObservation) {
  PointMaze maze;
  Random random(8);
  for (uint64_t seed = 0; seed < 100; ++seed) {
    auto observation = maze.reset(train_seed(seed));
    for (bool done = false; !done;) {
      const Point force = force_of(maze.expert());
      EXPECT_EQ(force, PointMaze::expert_force(point_of(observation, "goal"), layout_of(observation),
                                               point_of(observation, "position"), point_of(observation, "velocity")));
      for (const float part : force) {
        EXPECT_EQ(part * 4, std::round(part * 4));
        EXPECT_LE(std::abs(part), 1.0F);
      }
      // Half of the steps are not the expert's, so that it is asked in all kinds of states.
      auto result = maze.step(random.chance(0.5)
                                  ? push(force[0], force[1])
                                  : push(static_cast<float>(random.uniform(-1, 1)), static_cast<float>(random.uniform(-1, 1))));
      observation = std::move(result.observation);
      done = result.done;
    }
  }
}

TEST(PointMazeExpert, ExpertArrives) {
  PointMaze maze;
  double num_successes = 0, num_steps = 0;
  constexpr int kNumEpisodes = 1'000;
  for (uint64_t seed = 0; seed < kNumEpisodes; ++seed) {
    const auto episode = demonstrate(maze, evaluation_seed(seed));
    num_successes += episode.success;
    num_steps += static_cast<double>(episode.num_steps);
  }
  EXPECT_GE(num_successes / kNumEpisodes, 0.995);
  EXPECT_GT(num_steps / kNumEpisodes, 15.0);
  EXPECT_LT(num_steps / kNumEpisodes, 35.0);
}

// From states that its own way never leads to.
TEST(PointMazeExpert, ExpertRecoversFromAStrangersWay) {
  PointMaze maze;
  RandomPolicy stranger(maze.schema(), 9);
  int num_successes = 0, num_episodes = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    maze.reset(train_seed(seed));
    StepResult result;
    for (int i = 0; i < 8 && !result.done; ++i) result = maze.step(stranger.act());
    if (result.done) continue;
    while (!result.done) result = maze.step(maze.expert());
    ++num_episodes;
    num_successes += result.success;
  }
  EXPECT_GE(num_successes, 0.99 * num_episodes);
}

struct Measured {
  double mean = 0.0, standard_error = 0.0, success = 0.0;
};

template <class Policy>
Measured measure(PointMaze& maze, int num_episodes, Policy&& policy) {
  double sum = 0.0, sum_of_squares = 0.0;
  Measured measured;
  for (int i = 0; i < num_episodes; ++i) {
    maze.reset(evaluation_seed(static_cast<uint64_t>(i)));
    double total = 0.0;
    StepResult result;
    while (!result.done) {
      result = maze.step(policy());
      total += result.reward;
    }
    measured.success += result.success;
    sum += total;
    sum_of_squares += total * total;
  }
  measured.mean = sum / num_episodes;
  measured.success /= num_episodes;
  measured.standard_error = std::sqrt((sum_of_squares / num_episodes - measured.mean * measured.mean) / num_episodes);
  return measured;
}

TEST(PointMazeExpert, ReferenceScoresAreTrue) {
  PointMaze maze;
  RandomPolicy policy(maze.schema(), 10);
  const auto random = measure(maze, 2'000, [&] { return policy.act(); });
  const auto expert = measure(maze, 1'000, [&] { return maze.expert(); });
  EXPECT_LT(random.success, 0.08);
  EXPECT_NEAR(maze.reference_scores().random, random.mean, 4 * random.standard_error);
  EXPECT_NEAR(maze.reference_scores().expert, expert.mean, 4 * expert.standard_error);
}

// Straight to the goal is not enough: the walls matter.
TEST(PointMazeExpert, TheWallsMatter) {
  PointMaze maze;
  Observation observation;
  int num_successes = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    auto seen = maze.reset(evaluation_seed(seed));
    StepResult result;
    while (!result.done) {
      const Point goal = point_of(seen, "goal"), position = point_of(seen, "position"), velocity = point_of(seen, "velocity");
      result =
          maze.step(push(4 * (goal[0] - position[0]) - 0.8F * velocity[0], 4 * (goal[1] - position[1]) - 0.8F * velocity[1]));
      seen = result.observation;
    }
    num_successes += result.success;
  }
  EXPECT_LT(num_successes, 200);
}

TEST(PointMazeExpert, SuccessIsWithinTheRadius) {
  PointMaze maze;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Point goal = point_of(maze.reset(train_seed(seed)), "goal");
    for (StepResult result; !result.done;) {
      result = maze.step(maze.expert());
      const bool near = distance(point_of(result.observation, "position"), goal) <= PointMaze::kSuccessRadius;
      EXPECT_EQ(result.success, near);
      EXPECT_EQ(result.reward > 0.0, near);
    }
  }
}

}  // namespace
}  // namespace mugato::env
