#include "mugato/env/point_maze.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "mugato/core/error.h"

namespace mugato::env {
namespace {

using Point = PointMaze::Point;

constexpr int kSize = 5;  // cells along a side
constexpr int kNumCells = kSize * kSize;
constexpr float kCell = 2.0F / kSize;

constexpr float kKeep = 0.8F;  // of the velocity, per step: the drag
constexpr float kPush = 0.3F;  // velocity that a force of 1 adds in a step
constexpr float kGust = 0.1F;  // largest velocity that a gust adds in a step
static_assert((kPush + kGust) / (1.0F - kKeep) <= PointMaze::kMaxSpeed * 1.0001F);
static_assert(PointMaze::kMaxSpeed * PointMaze::kTimeStep < kCell, "a step crosses at most one cell border per axis");

constexpr float kSkin = 1e-3F;            // gap to the wall that stopped the mass, so that its cell stays free
constexpr float kMargin = 0.08F;          // of starts and goals to the border of their cell
constexpr float kClearance = 0.05F;       // of the expert's straight lines to the walls
constexpr int kMinPathCells = 3;          // cell borders between start and goal
constexpr float kGain = 4.0F;             // force per distance, of the expert
constexpr float kBrake = 0.8F;            // force per velocity
constexpr float kForceGrid = 0.25F;       // fewer distinct labels, still more than the steering needs
constexpr uint64_t kKey = 0x6d617a65ULL;  // "maze": other worlds draw other numbers from the same seed

// '#' is a wall; the first row is the top.
constexpr std::array<std::string_view, PointMaze::kNumLayouts> kLayouts = {
    "....."
    ".#.#."
    "....."
    ".#.#."
    ".....",

    "..#.."
    "..#.."
    "..#.."
    "..#.."
    ".....",

    "..#.."
    "..#.."
    "....."
    "..#.."
    "..#..",

    "....."
    "####."
    "....."
    ".####"
    "....."};

constexpr bool is_wall_cell(int64_t layout, int cell) {
  return kLayouts[static_cast<size_t>(layout)][static_cast<size_t>(cell)] == '#';
}

// Shortest paths between all pairs of free cells of a layout, moving along rows and columns.
struct Routes {
  std::array<std::array<int8_t, kNumCells>, kNumCells> distance{};  // [goal][cell], -1 between unconnected cells
  std::array<std::array<int8_t, kNumCells>, kNumCells> next{};      // [goal][cell], the cell after it on the path
};

constexpr Routes find_routes(int64_t layout) {
  Routes routes;
  for (size_t goal = 0; goal < kNumCells; ++goal) {
    auto& distance = routes.distance[goal];
    auto& next = routes.next[goal];
    distance.fill(-1);
    if (is_wall_cell(layout, static_cast<int>(goal))) continue;
    std::array<int, kNumCells> queue{static_cast<int>(goal)};
    distance[goal] = 0;
    next[goal] = static_cast<int8_t>(goal);
    for (size_t head = 0, tail = 1; head < tail; ++head) {
      const int cell = queue[head], column = cell % kSize;
      const std::array<int, 4> neighbours{column > 0 ? cell - 1 : -1, column + 1 < kSize ? cell + 1 : -1, cell - kSize,
                                          cell + kSize};
      for (const int neighbour : neighbours) {
        if (neighbour < 0 || neighbour >= kNumCells || is_wall_cell(layout, neighbour)) continue;
        const auto index = static_cast<size_t>(neighbour);
        if (distance[index] >= 0) continue;
        distance[index] = static_cast<int8_t>(distance[static_cast<size_t>(cell)] + 1);
        next[index] = static_cast<int8_t>(cell);
        queue[tail++] = neighbour;
      }
    }
  }
  return routes;
}

constexpr std::array<Routes, PointMaze::kNumLayouts> kRoutes = {find_routes(0), find_routes(1), find_routes(2), find_routes(3)};

int clamp_to_grid(float cells) { return std::clamp(static_cast<int>(std::floor(cells)), 0, kSize - 1); }

int cell_of(Point point) { return clamp_to_grid((1.0F - point[1]) / kCell) * kSize + clamp_to_grid((point[0] + 1.0F) / kCell); }

Point centre_of(int cell) {
  return {-1.0F + kCell * (static_cast<float>(cell % kSize) + 0.5F), 1.0F - kCell * (static_cast<float>(cell / kSize) + 0.5F)};
}

// Whether the straight line keeps its clearance to a wall cell: the line is cut down to its part within the cell's columns,
// then rows; what is left is inside.
bool passes(Point from, Point to, Point wall_centre) {
  constexpr float kReach = kCell / 2 + kClearance;
  float begin = 0.0F, end = 1.0F;
  for (size_t axis = 0; axis < 2; ++axis) {
    const float start = from[axis] - wall_centre[axis], delta = to[axis] - from[axis];
    if (std::abs(delta) < 1e-6F) {
      if (std::abs(start) >= kReach) return true;
      continue;
    }
    const float one = (-kReach - start) / delta, other = (kReach - start) / delta;
    begin = std::max(begin, std::min(one, other));
    end = std::min(end, std::max(one, other));
  }
  return begin >= end;
}

bool is_visible(int64_t layout, Point from, Point to) {
  for (int cell = 0; cell < kNumCells; ++cell)
    if (is_wall_cell(layout, cell) && !passes(from, to, centre_of(cell))) return false;
  return true;
}

// What to steer to: the farthest point in sight among the centres of the path's cells and the goal. The next of them can be
// reached in a straight line even where the clearance hides it.
Point waypoint(int64_t layout, Point position, Point goal) {
  const int goal_cell = cell_of(goal);
  const auto& next = kRoutes[static_cast<size_t>(layout)].next[static_cast<size_t>(goal_cell)];
  const auto point_of = [&](int cell) { return cell == goal_cell ? goal : centre_of(cell); };
  int cell = next[static_cast<size_t>(cell_of(position))];
  Point target = point_of(cell);
  while (cell != goal_cell) {
    cell = next[static_cast<size_t>(cell)];
    if (is_visible(layout, position, point_of(cell))) target = point_of(cell);
  }
  return target;
}

float distance_between(Point a, Point b) { return std::hypot(a[0] - b[0], a[1] - b[1]); }

Point draw_point(Random& random, int cell) {
  constexpr double kHalf = kCell / 2 - kMargin;
  const Point centre = centre_of(cell);
  return {centre[0] + static_cast<float>(random.uniform(-kHalf, kHalf)),
          centre[1] + static_cast<float>(random.uniform(-kHalf, kHalf))};
}

at::Tensor to_tensor(Point point) {
  auto tensor = at::empty({2}, at::kFloat);
  std::copy(point.begin(), point.end(), tensor.data_ptr<float>());
  return tensor;
}

}  // namespace

PointMaze::PointMaze()
    : schema_{{{.name = "goal", .modality = Modality::kContinuous, .shape = {2}, .mu_law = true},
               {.name = "layout", .modality = Modality::kDiscrete, .num_values = {kNumLayouts}},
               {.name = "position", .modality = Modality::kContinuous, .shape = {2}, .mu_law = true},
               {.name = "velocity", .modality = Modality::kContinuous, .shape = {2}, .mu_law = true},
               {.name = "force", .modality = Modality::kContinuous, .role = Role::kAction, .shape = {2}}}} {}

Observation PointMaze::reset(uint64_t seed) {
  Random random(hash_key(seed, kKey));
  state_ = {};
  state_.layout = random.below(kNumLayouts);
  int start = 0, goal = 0;
  do {
    start = static_cast<int>(random.below(kNumCells));
    goal = static_cast<int>(random.below(kNumCells));
  } while (kRoutes[static_cast<size_t>(state_.layout)].distance[static_cast<size_t>(goal)][static_cast<size_t>(start)] <
           kMinPathCells);  // walls have the distance -1
  state_.position = draw_point(random, start);
  state_.goal = draw_point(random, goal);
  state_.done = false;
  gusts_ = Random(hash_key(seed, kKey, 1));
  goal_ = to_tensor(state_.goal);
  layout_ = at::empty({}, at::kLong);
  *layout_.data_ptr<int64_t>() = state_.layout;
  way_.assign(1, state_.position);
  return observe();
}

StepResult PointMaze::step(const Action& action) {
  TORCH_CHECK(!state_.done, "point_maze: step() outside of an episode");
  move(read_force(action));
  way_.push_back(state_.position);
  ++state_.num_steps;
  StepResult result;
  result.success = distance_between(state_.position, state_.goal) <= kSuccessRadius;
  if (result.success) result.reward = 1.0 - 0.9 * static_cast<double>(state_.num_steps) / static_cast<double>(max_steps());
  result.done = state_.done = result.success || state_.num_steps >= max_steps();
  result.observation = observe();
  return result;
}

Point PointMaze::read_force(const Action& action) const {
  const auto found = action.find("force");
  const auto* value = found == action.end() ? nullptr : std::get_if<at::Tensor>(&found->second);
  if (value == nullptr || !at::isFloatingType(value->scalar_type()) || value->sizes() != at::IntArrayRef{2})
    throw Error("point_maze: the action has no 'force' of two floating-point numbers", "give 'force' as a float tensor {2}");
  const auto force = value->to(at::kCPU, at::kFloat).contiguous();
  const float* data = force.data_ptr<float>();
  if (std::isnan(data[0]) || std::isnan(data[1]))
    throw Error("point_maze: 'force' is not a number", "check the policy that made the action");
  return {std::clamp(data[0], -1.0F, 1.0F), std::clamp(data[1], -1.0F, 1.0F)};
}

// Semi-implicit Euler: the velocity first, then the position by the new velocity, one axis after the other.
void PointMaze::move(Point force) {
  for (size_t axis = 0; axis < 2; ++axis) {
    const auto gust = static_cast<float>(gusts_.uniform(-kGust, kGust));
    float& velocity = state_.velocity[axis];
    velocity = kKeep * velocity + kPush * force[axis] + gust;
    Point moved = state_.position;
    moved[axis] += velocity * kTimeStep;
    if (is_wall(state_.layout, moved)) {
      // The border of the present cell on the side of the movement.
      const float border = centre_of(cell_of(state_.position))[axis] + std::copysign(kCell / 2 - kSkin, velocity);
      moved[axis] = border;
      velocity = 0.0F;
    }
    state_.position = moved;
  }
}

Observation PointMaze::observe() const {
  return {
      {"goal", goal_}, {"layout", layout_}, {"position", to_tensor(state_.position)}, {"velocity", to_tensor(state_.velocity)}};
}

bool PointMaze::is_wall(int64_t layout, Point point) {
  TORCH_CHECK(layout >= 0 && layout < kNumLayouts);
  return std::max(std::abs(point[0]), std::abs(point[1])) >= 1.0F || is_wall_cell(layout, cell_of(point));
}

Action PointMaze::expert() {
  TORCH_CHECK(!state_.done, "point_maze: expert() outside of an episode");
  return {{"force", to_tensor(expert_force(state_.goal, state_.layout, state_.position, state_.velocity))}};
}

Point PointMaze::expert_force(Point goal, int64_t layout, Point position, Point velocity) {
  const Point target = waypoint(layout, position, goal);
  Point force{};
  for (size_t axis = 0; axis < 2; ++axis) {
    const float wanted = kGain * (target[axis] - position[axis]) - kBrake * velocity[axis];
    force[axis] = std::clamp(kForceGrid * std::round(wanted / kForceGrid), -1.0F, 1.0F);
  }
  return force;
}

// Means of 20,000 evaluation episodes; standard errors 0.0003 and 0.001.
ReferenceScores PointMaze::reference_scores() const { return {.random = 0.0039, .expert = 0.690}; }

}  // namespace mugato::env
