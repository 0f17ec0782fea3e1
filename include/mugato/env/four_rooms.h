// A grid world: go to the object that the mission names, through four rooms, seen from above as an image.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "mugato/env/color.h"
#include "mugato/env/environment.h"

namespace mugato::env {

// Fields: `mission` text, `image` (64,64,3) uint8, `direction` in [0, 4) (where the agent looks: its last move), and the action
// `action` in [0, 4) (enum Move). Two walls with a door in each of their four halves make four rooms; three or four objects
// stand in them, no two of one colour. A move turns the agent and takes it to the next cell where that is free: a wall and the
// border only turn it. Walking into an object ends the episode, with success when it is the mission's, and then a reward of
// 1 - 0.9 * steps / 40; all other rewards are 0.
class FourRooms final : public Environment {
 public:
  static constexpr int64_t kCells = 8;       // a side; the cells of the grid fit one 64-bit word
  static constexpr int64_t kCellPixels = 8;  // a side: a 16x16 patch holds 2x2 whole cells
  static constexpr int64_t kImagePixels = kCells * kCellPixels;
  static constexpr int64_t kMaxSteps = 40;

  enum class Kind : uint8_t { kKey, kBall, kBox };
  enum Move : int64_t { kRight, kDown, kLeft, kUp };

  struct Object {
    int64_t x = 0, y = 0;
    Color color = Color::kRed;  // one of the first four
    Kind kind = Kind::kKey;
  };
  struct Scene {
    uint64_t walls = 0;  // bit y * kCells + x; x runs to the right, y down
    std::vector<Object> objects;
    size_t target = 0;                    // the mission's object
    int64_t x = 0, y = 0, direction = 0;  // of the agent

    bool is_wall(int64_t wall_x, int64_t wall_y) const { return (walls >> (wall_y * kCells + wall_x) & 1) != 0; }
  };

  FourRooms();
  const Schema& schema() const override { return schema_; }
  Observation reset(uint64_t seed) override;
  StepResult step(const Action& action) override;

  // The first move of a shortest plan into the object. Of several, the one straight on, then the first of enum Move: the action
  // is a function of the state.
  Action expert() override;

  int64_t max_steps() const override { return kMaxSteps; }
  ReferenceScores reference_scores() const override;
  at::Tensor picture() const override;  // (560,512,3) uint8

  const Scene& scene() const { return scene_; }
  const std::string& mission() const { return mission_; }

 private:
  int64_t make_plan();
  void draw_all();
  Observation observe() const;

  Schema schema_;
  Scene scene_;
  std::string mission_;
  std::array<uint64_t, 4> plan_{};  // [move]: the cells where the expert makes this move
  std::array<uint8_t, kImagePixels * kImagePixels * 3> image_{};
  int64_t num_steps_ = 0;
  bool done_ = true;  // until the first reset
};

}  // namespace mugato::env
