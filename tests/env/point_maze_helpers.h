// Reading a maze's observations, and its map through is_wall alone.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <string>

#include "mugato/env/point_maze.h"

namespace mugato::env::point_maze_testing {

using Point = PointMaze::Point;

constexpr int kSize = 5;
constexpr float kCell = 2.0F / kSize;

inline Point point_of(const Observation& observation, const std::string& name) {
  const auto& tensor = std::get<at::Tensor>(observation.at(name));
  EXPECT_EQ(tensor.sizes(), at::IntArrayRef{2}) << name;
  EXPECT_EQ(tensor.scalar_type(), at::kFloat) << name;
  return {tensor.data_ptr<float>()[0], tensor.data_ptr<float>()[1]};
}

inline int64_t layout_of(const Observation& observation) {
  const auto& tensor = std::get<at::Tensor>(observation.at("layout"));
  EXPECT_EQ(tensor.dim(), 0);
  return tensor.item<int64_t>();
}

inline Action push(float x, float y) { return {{"force", at::tensor({x, y}, at::kFloat)}}; }

inline Point force_of(const Action& action) {
  const auto& tensor = std::get<at::Tensor>(action.at("force"));
  return {tensor.data_ptr<float>()[0], tensor.data_ptr<float>()[1]};
}

inline float distance(Point a, Point b) { return std::hypot(a[0] - b[0], a[1] - b[1]); }

inline int cell_of(Point point) {
  const auto index = [](float x) { return std::clamp(static_cast<int>((x + 1.0F) / kCell), 0, kSize - 1); };
  return index(point[1]) * kSize + index(point[0]);
}

inline Point centre_of(int cell) {
  return {-1.0F + kCell * (static_cast<float>(cell % kSize) + 0.5F), -1.0F + kCell * (static_cast<float>(cell / kSize) + 0.5F)};
}

// Cell borders on the shortest way to each cell, found through is_wall alone; -1 where there is none.
inline std::array<int, kSize * kSize> steps_from(int64_t layout, int start) {
  std::array<int, kSize * kSize> steps;
  steps.fill(-1);
  steps[static_cast<size_t>(start)] = 0;
  for (std::deque<int> open{start}; !open.empty(); open.pop_front()) {
    const Point centre = centre_of(open.front());
    for (const Point move : {Point{kCell, 0}, Point{-kCell, 0}, Point{0, kCell}, Point{0, -kCell}}) {
      const Point neighbour{centre[0] + move[0], centre[1] + move[1]};
      if (PointMaze::is_wall(layout, neighbour) || steps[static_cast<size_t>(cell_of(neighbour))] >= 0) continue;
      steps[static_cast<size_t>(cell_of(neighbour))] = steps[static_cast<size_t>(open.front())] + 1;
      open.push_back(cell_of(neighbour));
    }
  }
  return steps;
}

}  // namespace mugato::env::point_maze_testing
