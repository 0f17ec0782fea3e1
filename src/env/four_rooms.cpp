#include "mugato/env/four_rooms.h"

#include <cstring>

#include "read_action.h"
#include "sprites.h"

namespace mugato::env {
namespace {

constexpr uint64_t kStream = 0x726f6f6d73;  // keeps this world's draws apart from another's with the same seed

// A set of cells, bit y * 8 + x.
using Cells = uint64_t;
constexpr Cells kFirstColumn = 0x0101010101010101, kFirstRow = 0xff;
constexpr int64_t kSide = FourRooms::kCells;
static_assert(kSide * kSide == 64);

constexpr int64_t index_of(int64_t x, int64_t y) { return y * kSide + x; }
constexpr Cells cell(int64_t x, int64_t y) { return Cells{1} << index_of(x, y); }

// Every cell of the set, one step on; those that leave the grid are gone.
constexpr Cells moved(Cells cells, size_t direction) {
  switch (direction % 4) {
    case 0:
      return (cells << 1) & ~kFirstColumn;
    case 1:
      return cells << 8;
    case 2:
      return (cells & ~kFirstColumn) >> 1;
    default:
      return cells >> 8;
  }
}

int64_t draw_cell(Random& random, Cells among) {
  for (;;)
    if (const int64_t index = random.below(64); (among >> index & 1) != 0) return index;
}

Cells objects_of(const FourRooms::Scene& scene) {
  Cells cells = 0;
  for (const auto& object : scene.objects) cells |= cell(object.x, object.y);
  return cells;
}

FourRooms::Scene draw_scene(Random& random) {
  FourRooms::Scene scene;
  const int64_t wall_x = random.between(3, 4), wall_y = random.between(3, 4);
  const Cells rooms = ~((kFirstColumn << wall_x) | (kFirstRow << (8 * wall_y)));
  const Cells door_up = cell(wall_x, random.below(wall_y)), door_down = cell(wall_x, random.between(wall_y + 1, 7));
  const Cells door_left = cell(random.below(wall_x), wall_y), door_right = cell(random.between(wall_x + 1, 7), wall_y);
  scene.walls = ~rooms & ~(door_up | door_down | door_left | door_right);

  const auto num_objects = static_cast<size_t>(random.between(3, 4));
  scene.objects.reserve(num_objects);
  Cells taken = 0;
  for (uint64_t colors = 0; scene.objects.size() < num_objects;) {
    const int64_t color = random.below(4);
    if ((colors >> color & 1) != 0) continue;
    colors |= uint64_t{1} << color;
    const int64_t at = draw_cell(random, rooms & ~taken);
    taken |= Cells{1} << at;
    scene.objects.push_back({at % kSide, at / kSide, static_cast<Color>(color), static_cast<FourRooms::Kind>(random.below(3))});
  }
  scene.target = static_cast<size_t>(random.below(static_cast<int64_t>(num_objects)));
  const int64_t start = draw_cell(random, ~(scene.walls | taken));
  scene.x = start % kSide;
  scene.y = start / kSide;
  scene.direction = random.below(4);
  return scene;
}

Cells neighbours(Cells cells) { return moved(cells, 0) | moved(cells, 1) | moved(cells, 2) | moved(cells, 3); }

// Whether the agent can stand next to every object.
bool all_reachable(const FourRooms::Scene& scene) {
  const Cells objects = objects_of(scene), floor = ~(scene.walls | objects);
  Cells reached = cell(scene.x, scene.y);
  for (Cells before = 0; reached != before;) {
    before = reached;
    reached |= neighbours(reached) & floor;
  }
  return (objects & ~neighbours(reached)) == 0;
}

const char* name_of(FourRooms::Kind kind) {
  constexpr std::array<const char*, 3> kNames{"key", "ball", "box"};
  return kNames[static_cast<size_t>(kind)];
}

using Image = std::array<uint8_t, FourRooms::kImagePixels * FourRooms::kImagePixels * 3>;

void blit(const Sprite& sprite, int64_t x, int64_t y, Image& image) {
  constexpr size_t kRow = FourRooms::kCellPixels * 3, kImageRow = FourRooms::kImagePixels * 3;
  uint8_t* to = image.data() + static_cast<size_t>(y) * FourRooms::kCellPixels * kImageRow + static_cast<size_t>(x) * kRow;
  for (size_t row = 0; row < FourRooms::kCellPixels; ++row) std::memcpy(to + row * kImageRow, sprite.data() + row * kRow, kRow);
}

at::Tensor scalar(int64_t value) {
  auto tensor = at::empty({}, at::kLong);
  *tensor.mutable_data_ptr<int64_t>() = value;
  return tensor;
}

}  // namespace

FourRooms::FourRooms()
    : schema_{{{.name = "mission"},
               {.name = "image", .modality = Modality::kImage, .shape = {kImagePixels, kImagePixels, 3}},
               {.name = "direction", .modality = Modality::kDiscrete, .num_values = {4}},
               {.name = "action", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {4}}}} {}

Observation FourRooms::reset(uint64_t seed) {
  Random random(hash_key(seed, kStream));
  int64_t plan_length = 0;
  do {
    scene_ = draw_scene(random);
    plan_length = all_reachable(scene_) ? make_plan() : 0;
  } while (plan_length == 0 || plan_length > kMaxSteps);

  const auto& target = scene_.objects[scene_.target];
  mission_ = std::string("go to the ") + env::name_of(target.color) + " " + name_of(target.kind);
  num_steps_ = 0;
  done_ = false;
  draw_all();
  return observe();
}

// Breadth-first, backwards from the object, all cells of one distance at once. Returns the number of moves of the shortest
// plan from the agent's cell, or 0.
int64_t FourRooms::make_plan() {
  const auto& target = scene_.objects[scene_.target];
  const Cells floor = ~(scene_.walls | objects_of(scene_)), agent = cell(scene_.x, scene_.y);
  Cells frontier = cell(target.x, target.y), seen = frontier;
  plan_ = {};
  int64_t plan_length = 0;
  for (int64_t length = 1; frontier != 0; ++length) {
    Cells next = 0;
    for (size_t move = 0; move < 4; ++move) {
      plan_[move] |= moved(frontier, move + 2) & floor & ~seen;
      next |= plan_[move] & ~seen;
    }
    if ((next & agent) != 0) plan_length = length;
    seen |= next;
    frontier = next;
  }
  return plan_length;
}

Action FourRooms::expert() {
  TORCH_CHECK(!done_, "four_rooms: expert() outside of an episode");
  const Cells agent = cell(scene_.x, scene_.y);
  for (const int64_t move : {scene_.direction, int64_t{kRight}, int64_t{kDown}, int64_t{kLeft}, int64_t{kUp}})
    if ((plan_[static_cast<size_t>(move)] & agent) != 0) return {{"action", scalar(move)}};
  TORCH_CHECK(false, "four_rooms: the agent stands where no plan leads to the target");
}

StepResult FourRooms::step(const Action& action) {
  TORCH_CHECK(!done_, "four_rooms: step() outside of an episode");
  const int64_t move = read_discrete(action, schema_.fields[3], "four_rooms");
  ++num_steps_;
  StepResult result;
  scene_.direction = move;
  const Cells ahead = moved(cell(scene_.x, scene_.y), static_cast<size_t>(move));
  if ((ahead & objects_of(scene_)) != 0) {
    const auto& target = scene_.objects[scene_.target];
    result.done = true;
    result.success = ahead == cell(target.x, target.y);
    if (result.success) result.reward = 1.0 - 0.9 * static_cast<double>(num_steps_) / static_cast<double>(kMaxSteps);
  } else if ((ahead & ~scene_.walls) != 0) {
    constexpr std::array<int64_t, 4> kStepX{1, 0, -1, 0}, kStepY{0, 1, 0, -1};
    blit(floor_sprite(), scene_.x, scene_.y, image_);
    scene_.x += kStepX[static_cast<size_t>(move)];
    scene_.y += kStepY[static_cast<size_t>(move)];
  }
  blit(agent_sprite(scene_.direction), scene_.x, scene_.y, image_);
  result.done = result.done || num_steps_ == kMaxSteps;
  done_ = result.done;
  result.observation = observe();
  return result;
}

void FourRooms::draw_all() {
  for (int64_t y = 0; y < kCells; ++y)
    for (int64_t x = 0; x < kCells; ++x) blit(scene_.is_wall(x, y) ? wall_sprite() : floor_sprite(), x, y, image_);
  for (const auto& object : scene_.objects) blit(object_sprite(object.kind, object.color), object.x, object.y, image_);
  blit(agent_sprite(scene_.direction), scene_.x, scene_.y, image_);
}

Observation FourRooms::observe() const {
  auto image = at::empty({kImagePixels, kImagePixels, 3}, at::kByte);
  std::memcpy(image.mutable_data_ptr(), image_.data(), image_.size());
  Observation observation;
  observation.emplace("mission", mission_);
  observation.emplace("image", std::move(image));
  observation.emplace("direction", scalar(scene_.direction));
  return observation;
}

// Measured on evaluation seeds 0 to 1999; the test EnvFourRooms.ReferenceScoresHold measures again.
ReferenceScores FourRooms::reference_scores() const { return {.random = 0.0995, .expert = 0.8451}; }

}  // namespace mugato::env
