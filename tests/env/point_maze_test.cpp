#include "mugato/env/point_maze.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "env/point_maze_helpers.h"
#include "mugato/core/error.h"

namespace mugato::env {
namespace {

using namespace point_maze_testing;

TEST(PointMaze, LayoutsDifferAndAreConnected) {
  std::set<std::string> maps;
  for (int64_t layout = 0; layout < PointMaze::kNumLayouts; ++layout) {
    std::string map;
    int start = -1;
    for (int cell = 0; cell < kSize * kSize; ++cell) {
      map += PointMaze::is_wall(layout, centre_of(cell)) ? '#' : '.';
      if (map.back() == '.') start = cell;
    }
    const auto steps = steps_from(layout, start);
    for (size_t cell = 0; cell < map.size(); ++cell) EXPECT_EQ(map[cell] == '#', steps[cell] < 0) << map << " cell " << cell;
    maps.insert(map);
  }
  EXPECT_EQ(maps.size(), static_cast<size_t>(PointMaze::kNumLayouts));
  EXPECT_TRUE(PointMaze::is_wall(0, {1.01F, 0.0F}));
  EXPECT_TRUE(PointMaze::is_wall(0, {0.0F, -1.01F}));
}

TEST(PointMaze, StartsAtRestAndFarFromTheGoal) {
  PointMaze maze;
  std::array<int, PointMaze::kNumLayouts> counts{};
  for (uint64_t seed = 0; seed < 2'000; ++seed) {
    const auto observation = maze.reset(train_seed(seed));
    EXPECT_EQ(observation.size(), 4U);
    const auto layout = layout_of(observation);
    ++counts[static_cast<size_t>(layout)];
    const Point position = point_of(observation, "position"), goal = point_of(observation, "goal");
    EXPECT_EQ(point_of(observation, "velocity"), (Point{0, 0}));
    EXPECT_FALSE(PointMaze::is_wall(layout, position));
    EXPECT_FALSE(PointMaze::is_wall(layout, goal));
    EXPECT_GE(steps_from(layout, cell_of(position))[static_cast<size_t>(cell_of(goal))], 3);
  }
  for (const int count : counts) EXPECT_NEAR(count, 500, 4 * std::sqrt(2'000 * 0.25 * 0.75));
}

// Random forces, and constant ones that press into walls and corners.
TEST(PointMaze, WallsHoldWhateverTheForce) {
  PointMaze maze;
  Random random(5);
  for (uint64_t seed = 0; seed < 400; ++seed) {
    auto observation = maze.reset(train_seed(seed));
    const auto layout = layout_of(observation);
    const float x = random.chance(0.5) ? 1.0F : -1.0F, y = random.chance(0.5) ? 1.0F : -1.0F;
    for (bool done = false; !done;) {
      const Point before = point_of(observation, "position");
      const bool constant = seed % 2 == 0;
      auto result = maze.step(constant ? push(x, y) : push(x * random.chance(0.8), static_cast<float>(random.uniform(-1, 1))));
      observation = std::move(result.observation);
      done = result.done;
      const Point after = point_of(observation, "position"), velocity = point_of(observation, "velocity");
      for (size_t axis = 0; axis < 2; ++axis) {
        EXPECT_LE(std::abs(velocity[axis]), PointMaze::kMaxSpeed);
        EXPECT_LE(std::abs(after[axis] - before[axis]), PointMaze::kMaxSpeed * PointMaze::kTimeStep + 1e-5F);
      }
      // The way of a step goes along x, then along y, and stays free all along.
      for (int part = 0; part <= 20; ++part) {
        const float t = static_cast<float>(part) / 20;
        EXPECT_FALSE(PointMaze::is_wall(layout, {before[0] + t * (after[0] - before[0]), before[1]}));
        EXPECT_FALSE(PointMaze::is_wall(layout, {after[0], before[1] + t * (after[1] - before[1])}));
      }
    }
  }
}

// v' = 0.8 v + 0.3 f + gust, |gust| <= 0.1, x' = x + 0.1 v', unless a wall is in the way.
TEST(PointMaze, FreeMovementFollowsTheEquation) {
  PointMaze maze;
  Random random(6);
  int num_free = 0;
  double sum = 0.0, sum_of_squares = 0.0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    auto observation = maze.reset(train_seed(seed));
    for (bool done = false; !done;) {
      const Point position = point_of(observation, "position"), velocity = point_of(observation, "velocity");
      const Point force{static_cast<float>(random.uniform(-1, 1)), static_cast<float>(random.uniform(-1, 1))};
      auto result = maze.step(push(force[0], force[1]));
      observation = std::move(result.observation);
      done = result.done;
      const Point moved = point_of(observation, "position"), speed = point_of(observation, "velocity");
      for (size_t axis = 0; axis < 2; ++axis) {
        if (speed[axis] == 0.0F) continue;  // stopped by a wall
        ++num_free;
        const float gust = speed[axis] - 0.8F * velocity[axis] - 0.3F * force[axis];
        EXPECT_LE(std::abs(gust), 0.1F + 1e-5F);
        EXPECT_NEAR(moved[axis], position[axis] + 0.1F * speed[axis], 1e-6);
        sum += gust;
        sum_of_squares += gust * gust;
      }
    }
  }
  ASSERT_GT(num_free, 10'000);
  const double sigma = 0.1 / std::sqrt(3.0);  // uniform gusts
  EXPECT_NEAR(std::sqrt(sum_of_squares / num_free), sigma, 0.03 * sigma);
  EXPECT_NEAR(sum / num_free, 0.0, 5 * sigma / std::sqrt(num_free));
}

TEST(PointMaze, EpisodesAreAFunctionOfTheSeed) {
  PointMaze one, other;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto a = demonstrate(one, train_seed(seed));
    demonstrate(other, train_seed(seed + 100));  // what went before does not matter
    const auto b = demonstrate(other, train_seed(seed));
    ASSERT_EQ(a.num_steps, b.num_steps);
    for (size_t field = 0; field < a.fields.size(); ++field)
      EXPECT_TRUE(at::equal(a.fields[field].values, b.fields[field].values)) << one.schema().fields[field].name;
    EXPECT_FALSE(at::equal(one.picture(), at::zeros_like(one.picture())));
  }
}

TEST(PointMaze, ADemonstrationHasTheSchemasShapes) {
  PointMaze maze;
  const auto episode = demonstrate(maze, train_seed(3));
  ASSERT_EQ(episode.fields.size(), maze.schema().fields.size());
  EXPECT_TRUE(episode.success);
  const int64_t num_steps = episode.num_steps;
  EXPECT_NEAR(episode.total_return, 1.0 - 0.9 * static_cast<double>(num_steps) / 60.0, 1e-12);
  for (const auto* name : {"goal", "position", "velocity", "force"}) {
    const auto& values = episode.fields[static_cast<size_t>(maze.schema().index_of(name))].values;
    EXPECT_EQ(values.sizes(), (at::IntArrayRef{num_steps, 2})) << name;
    EXPECT_EQ(values.scalar_type(), at::kFloat) << name;
  }
  const auto& layouts = episode.fields[static_cast<size_t>(maze.schema().index_of("layout"))].values;
  EXPECT_EQ(layouts.sizes(), at::IntArrayRef{num_steps});
  EXPECT_EQ(layouts.scalar_type(), at::kLong);
}

TEST(PointMaze, ForcesAreClipped) {
  PointMaze one, other;
  one.reset(4);
  other.reset(4);
  const auto strong = one.step(push(1.0F, -1.0F)).observation;
  const auto stronger = other.step(push(50.0F, -std::numeric_limits<float>::infinity())).observation;
  EXPECT_EQ(point_of(strong, "velocity"), point_of(stronger, "velocity"));
}

TEST(PointMaze, WrongActionsAreErrors) {
  PointMaze maze;
  maze.reset(1);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& action :
       {Action{}, Action{{"push", at::zeros({2})}}, Action{{"force", std::string("left")}}, Action{{"force", at::zeros({3})}},
        Action{{"force", at::zeros({1, 2})}}, Action{{"force", at::Tensor()}}, Action{{"force", at::zeros({2}, at::kLong)}},
        push(nan, 0.0F), push(0.0F, nan)}) {
    try {
      maze.step(action);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("'force'"));
    }
  }
  EXPECT_NO_THROW(maze.step({{"force", at::zeros({2}, at::kDouble)}}));
}

TEST(PointMaze, AnEpisodeEndsOnce) {
  PointMaze maze;
  EXPECT_THROW(maze.step(push(0, 0)), c10::Error);
  maze.reset(2);
  StepResult result;
  int64_t num_steps = 0;
  for (; !result.done; ++num_steps) {
    result = maze.step(push(0, 0));
    EXPECT_EQ(result.reward, 0.0);
  }
  EXPECT_EQ(num_steps, maze.max_steps());
  EXPECT_FALSE(result.success);
  EXPECT_THROW(maze.step(push(0, 0)), c10::Error);
}

TEST(PointMaze, PictureShowsWallsGoalAndMass) {
  PointMaze maze;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto observation = maze.reset(train_seed(seed));
    const auto picture = maze.picture();
    ASSERT_EQ(picture.sizes(), (at::IntArrayRef{320, 320, 3}));
    ASSERT_EQ(picture.scalar_type(), at::kByte);
    const auto pixel = [&](Point point) {
      return picture[static_cast<int64_t>((1 - point[1]) * 160)][static_cast<int64_t>((point[0] + 1) * 160)].to(at::kInt);
    };
    const auto goal = pixel(point_of(observation, "goal")), mass = pixel(point_of(observation, "position"));
    EXPECT_GT(goal[1].item<int>(), goal[0].item<int>());  // green
    EXPECT_GT(mass[2].item<int>(), mass[0].item<int>());  // blue
    for (int cell = 0; cell < kSize * kSize; ++cell) {
      if (!PointMaze::is_wall(layout_of(observation), centre_of(cell))) continue;
      EXPECT_LT(pixel(centre_of(cell)).max().item<int>(), 128) << "walls are dark";
    }
    EXPECT_FALSE(at::equal(picture, (maze.step(maze.expert()), maze.picture())));
  }
}

}  // namespace
}  // namespace mugato::env
