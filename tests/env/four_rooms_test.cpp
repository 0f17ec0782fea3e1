#include "mugato/env/four_rooms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "env/four_rooms_reading.h"
#include "mugato/core/error.h"

namespace mugato::env {
namespace {

using testing::HasSubstr;
using Scene = FourRooms::Scene;

// The rules once more, on plain coordinates, for the expert and the dynamics to be held against.
struct Place {
  int64_t x = 0, y = 0;
  auto operator<=>(const Place&) const = default;
};

Place place_of(const Scene& scene) { return {scene.x, scene.y}; }

Place beside(const Place& place, int64_t move) {
  const int64_t step_x[] = {1, 0, -1, 0}, step_y[] = {0, 1, 0, -1};
  return {place.x + step_x[move], place.y + step_y[move]};
}

// The index of the object in a cell, or -1.
int64_t object_at(const Scene& scene, const Place& place) {
  for (size_t i = 0; i < scene.objects.size(); ++i)
    if (Place{scene.objects[i].x, scene.objects[i].y} == place) return static_cast<int64_t>(i);
  return -1;
}

bool is_floor(const Scene& scene, const Place& place) {
  const auto [x, y] = place;
  return x >= 0 && y >= 0 && x < 8 && y < 8 && !scene.is_wall(x, y) && object_at(scene, place) < 0;
}

Place moved(const Scene& scene, const Place& place, int64_t move) {
  const auto next = beside(place, move);
  return is_floor(scene, next) ? next : place;
}

// Moves of the shortest plan from a place into the target, the last one included; breadth-first, forwards.
int64_t plan_length(const Scene& scene, const Place& start) {
  std::map<Place, int64_t> distance{{start, 0}};
  for (std::deque<Place> queue{start}; !queue.empty(); queue.pop_front()) {
    const auto place = queue.front();
    for (int64_t move = 0; move < 4; ++move) {
      if (object_at(scene, beside(place, move)) == static_cast<int64_t>(scene.target)) return distance[place] + 1;
      const auto next = moved(scene, place, move);
      if (distance.emplace(next, distance[place] + 1).second) queue.push_back(next);
    }
  }
  return 1000;
}

// Whether a move is the first of a shortest plan.
bool leads_on(const Scene& scene, const Place& place, int64_t move) {
  const auto next = beside(place, move);
  if (object_at(scene, next) == static_cast<int64_t>(scene.target)) return true;
  return is_floor(scene, next) && plan_length(scene, next) == plan_length(scene, place) - 1;
}

int64_t move_of(const Action& action) { return std::get<at::Tensor>(action.at("action")).item<int64_t>(); }
int64_t direction_of(const Observation& observation) {
  return std::get<at::Tensor>(observation.at("direction")).item<int64_t>();
}

TEST(EnvFourRooms, ScenesAreLegal) {
  FourRooms world;
  std::set<std::pair<int64_t, int64_t>> crossings;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    world.reset(seed);
    const auto& scene = world.scene();
    // The only row and column with at most two gaps are the walls; each half of each has one door.
    int64_t wall_x = -1, wall_y = -1;
    for (int64_t i = 3; i <= 4; ++i) {
      int64_t in_column = 0, in_row = 0;
      for (int64_t j = 0; j < 8; ++j) in_column += scene.is_wall(i, j), in_row += scene.is_wall(j, i);
      if (in_column == 6) wall_x = i;
      if (in_row == 6) wall_y = i;
    }
    ASSERT_NE(wall_x, -1);
    ASSERT_NE(wall_y, -1);
    crossings.emplace(wall_x, wall_y);
    ASSERT_TRUE(scene.is_wall(wall_x, wall_y));
    int64_t doors[4] = {};
    for (int64_t y = 0; y < 8; ++y)
      for (int64_t x = 0; x < 8; ++x) {
        if (x != wall_x && y != wall_y) ASSERT_FALSE(scene.is_wall(x, y));
        else if (!scene.is_wall(x, y)) ++doors[x == wall_x ? (y < wall_y ? 0 : 1) : (x < wall_x ? 2 : 3)];
      }
    for (const int64_t number : doors) EXPECT_EQ(number, 1);

    EXPECT_THAT(scene.objects.size(), testing::AnyOf(3U, 4U));
    std::set<std::pair<int64_t, int64_t>> places;
    std::set<Color> colors;
    for (const auto& object : scene.objects) {
      EXPECT_TRUE(object.x != wall_x && object.y != wall_y) << "neither in a wall nor in a door";
      EXPECT_TRUE(places.emplace(object.x, object.y).second);
      EXPECT_TRUE(colors.insert(object.color).second);
    }
    EXPECT_TRUE(is_floor(scene, place_of(scene)));
    for (size_t target = 0; target < scene.objects.size(); ++target) {
      auto other = scene;
      other.target = target;
      EXPECT_LT(plan_length(other, place_of(scene)), 1000) << "every object can be reached";
    }
    EXPECT_EQ(world.mission(), "go to the " + name_of_object(scene.objects[scene.target]));
  }
  EXPECT_EQ(crossings.size(), 4U);
}

TEST(EnvFourRooms, ExpertTakesTheShortestPlan) {
  FourRooms world;
  for (uint64_t i = 0; i < 400; ++i) {
    world.reset(i % 2 == 0 ? train_seed(i) : evaluation_seed(i));
    const int64_t length = plan_length(world.scene(), place_of(world.scene()));
    ASSERT_LE(length, world.max_steps());
    StepResult result;
    for (int64_t step = 1; step <= length; ++step) {
      ASSERT_FALSE(result.done);
      const auto& scene = world.scene();
      // Of the moves that lead on: straight, then right, down, left, up.
      int64_t expected = scene.direction;
      for (int64_t move = 0; move < 4 && !leads_on(scene, place_of(scene), expected); ++move) expected = move;
      const auto action = world.expert();
      ASSERT_EQ(move_of(action), expected);
      result = world.step(action);
    }
    EXPECT_TRUE(result.done);
    EXPECT_TRUE(result.success);
    EXPECT_DOUBLE_EQ(result.reward, 1.0 - 0.9 * static_cast<double>(length) / 40.0);
  }
}

// Random moves, except into objects.
int64_t stray(FourRooms& world, Random& random, int64_t num_steps) {
  int64_t steps = 0;
  while (steps < num_steps) {
    const int64_t move = random.below(4);
    if (object_at(world.scene(), beside(place_of(world.scene()), move)) >= 0) continue;
    world.step(move_action(move));
    ++steps;
  }
  return steps;
}

TEST(EnvFourRooms, ExpertFindsTheWayFromWhereverTheAgentStrays) {
  FourRooms world;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    world.reset(seed);
    Random random(hash_key(seed));
    const int64_t left = 40 - stray(world, random, 30), length = plan_length(world.scene(), place_of(world.scene()));
    StepResult result;
    int64_t steps = 0;
    for (; !result.done; ++steps) result = world.step(world.expert());
    EXPECT_EQ(steps, std::min(length, left));
    EXPECT_EQ(result.success, length <= left);
  }
}

TEST(EnvFourRooms, MovesFollowTheRules) {
  FourRooms world;
  int64_t blocked = 0, ended_at_target = 0, ended_elsewhere = 0, out_of_time = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    auto before = world.reset(seed);
    Random random(hash_key(seed));
    for (int64_t step = 1; step <= 40; ++step) {
      const int64_t move = random.below(4), from_direction = world.scene().direction;
      const auto from = place_of(world.scene()), expected = moved(world.scene(), from, move);
      const int64_t object = object_at(world.scene(), beside(from, move));
      const bool at_target = object == static_cast<int64_t>(world.scene().target);
      const auto result = world.step(move_action(move));
      ASSERT_EQ(place_of(world.scene()), expected);
      EXPECT_EQ(direction_of(result.observation), move);
      EXPECT_EQ(at::equal(image_of(result.observation), image_of(before)), from == expected && move == from_direction)
          << "a blocked move straight on changes no pixel, any other does";
      blocked += from == expected && object < 0 ? 1 : 0;
      EXPECT_EQ(result.success, at_target);
      EXPECT_DOUBLE_EQ(result.reward, at_target ? 1.0 - 0.9 * static_cast<double>(step) / 40.0 : 0.0);
      ASSERT_EQ(result.done, object >= 0 || step == 40);
      if (result.done) {
        (at_target ? ended_at_target : object >= 0 ? ended_elsewhere : out_of_time) += 1;
        break;
      }
      before = result.observation;
    }
  }
  EXPECT_GT(blocked, 300);
  EXPECT_GT(ended_at_target, 20);
  EXPECT_GT(ended_elsewhere, 50);
  EXPECT_GT(out_of_time, 20);
}

TEST(EnvFourRooms, BadActionsAreErrorsThatNameTheField) {
  FourRooms world;
  EXPECT_THROW(world.step(move_action(0)), c10::Error);  // before the first reset
  EXPECT_THROW(world.expert(), c10::Error);
  EXPECT_THROW(world.picture(), c10::Error);
  world.reset(0);
  const auto message = [&](const Action& action) -> std::string {
    try {
      world.step(action);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const std::string field = "four_rooms: field 'action' of the action is ";
  EXPECT_THAT(message({}), HasSubstr(field + "missing"));
  EXPECT_THAT(message({{"move", at::zeros({}, at::kLong)}}), HasSubstr(field + "missing"));
  EXPECT_THAT(message({{"action", "left"}}), HasSubstr(field + "text"));
  EXPECT_THAT(message({{"action", at::Tensor()}}), HasSubstr(field + "an undefined tensor"));
  EXPECT_THAT(message({{"action", at::zeros({1}, at::kLong)}}), HasSubstr(field + "a Long tensor of shape [1]"));
  EXPECT_THAT(message({{"action", at::zeros({}, at::kFloat)}}), HasSubstr(field + "a Float tensor of shape []"));
  EXPECT_THAT(message(move_action(4)), HasSubstr(field + "4"));
  EXPECT_THAT(message(move_action(-1)), HasSubstr("a value in [0, 4)"));
  EXPECT_EQ(message({{"action", at::zeros({}, at::kInt)}}), "no error") << "any integer type will do";
  world.reset(0);
  while (!world.step(world.expert()).done) {
  }
  EXPECT_THROW(world.step(move_action(0)), c10::Error);
}

TEST(EnvFourRooms, ReferenceScoresHold) {
  constexpr int64_t kEpisodes = 1000;
  FourRooms world;
  double random_sum = 0, random_squares = 0, expert_sum = 0, expert_squares = 0;
  int64_t random_successes = 0;
  for (uint64_t i = 0; i < kEpisodes; ++i) {
    const uint64_t seed = evaluation_seed(i);
    const auto episode = demonstrate(world, seed);
    EXPECT_TRUE(episode.success);
    expert_sum += episode.total_return;
    expert_squares += episode.total_return * episode.total_return;
    RandomPolicy policy(world.schema(), seed);
    world.reset(seed);
    StepResult result;
    while (!result.done) result = world.step(policy.act());
    random_sum += result.reward;
    random_squares += result.reward * result.reward;
    random_successes += result.success ? 1 : 0;
  }
  const auto expect_mean = [](double sum, double squares, double constant) {
    const double mean = sum / kEpisodes, deviation = std::sqrt(squares / kEpisodes - mean * mean);
    EXPECT_NEAR(mean, constant, 4 * deviation / std::sqrt(double{kEpisodes}));
  };
  expect_mean(random_sum, random_squares, world.reference_scores().random);
  expect_mean(expert_sum, expert_squares, world.reference_scores().expert);
  EXPECT_LT(random_successes, kEpisodes / 5);
}

}  // namespace
}  // namespace mugato::env
