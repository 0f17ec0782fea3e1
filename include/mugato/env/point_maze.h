// A point mass that finds its way among walls: continuous observations, a discrete one, continuous actions.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "mugato/env/environment.h"

namespace mugato::env {

// The square [-1,1]^2 is cut into 5x5 cells, free or wall, in one of four layouts drawn per episode: pillars, a U, two rooms,
// an S. The mass starts at rest at a random free point; the goal is a random free point whose shortest path leads over at least
// three cell borders. A force accelerates the mass against a drag, a small random gust of the episode's seed is added in every
// step, walls stop it without a bounce. The episode ends with success within kSuccessRadius of the goal, or after max_steps().
// Reward: 1 - 0.9 steps / max_steps at the success, else 0.
//
// Observations: `goal` {2}, `layout` scalar in [0,4), `position` {2}, `velocity` {2} (per second; a step is kTimeStep). The
// tensors of `goal` and `layout` are shared by all observations of an episode. Action: `force` {2}; what lies outside of [-1,1]
// is clipped.
class PointMaze final : public Environment {
 public:
  using Point = std::array<float, 2>;  // x to the right, y up

  static constexpr int64_t kNumLayouts = 4;
  static constexpr float kTimeStep = 0.1F;
  static constexpr float kSuccessRadius = 0.1F;
  static constexpr float kMaxSpeed = 2.0F;  // a bound per axis, gusts included: half a cell a step

  PointMaze();

  const Schema& schema() const override { return schema_; }
  Observation reset(uint64_t seed) override;
  StepResult step(const Action& action) override;
  Action expert() override;
  int64_t max_steps() const override { return 60; }
  ReferenceScores reference_scores() const override;
  // 320x320: walls, the goal with its radius, the way so far, the mass and its velocity.
  at::Tensor picture() const override;

  // The expert's force is a function of the observation alone, so that imitating it is well posed: a proportional-derivative
  // controller towards the farthest point in sight on the shortest path over the cells, rounded to multiples of 0.25.
  static Point expert_force(Point goal, int64_t layout, Point position, Point velocity);

  // Whether a point lies in a wall; everything outside of the square does.
  static bool is_wall(int64_t layout, Point point);

 private:
  struct State {
    int64_t layout = 0;
    Point goal{}, position{}, velocity{};
    int64_t num_steps = 0;
    bool done = true;
  };

  Point read_force(const Action& action) const;  // throws Error
  void move(Point force);
  Observation observe() const;

  Schema schema_;
  State state_;
  Random gusts_{0};
  at::Tensor goal_, layout_;  // of the episode's observations
  std::vector<Point> way_;    // positions so far
};

}  // namespace mugato::env
