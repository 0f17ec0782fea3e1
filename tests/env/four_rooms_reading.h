// What the tests of the grid world share: actions, and a state in words.
#pragma once

#include <string>

#include "mugato/env/four_rooms.h"

namespace mugato::env {

inline Action move_action(int64_t move) { return {{"action", at::full({}, move, at::kLong)}}; }

inline at::Tensor image_of(const Observation& observation) { return std::get<at::Tensor>(observation.at("image")); }

inline std::string name_of_object(const FourRooms::Object& object) {
  const std::string kinds[] = {"key", "ball", "box"};
  return name_of(object.color) + (" " + kinds[static_cast<size_t>(object.kind)]);
}

// What is in a cell, in words.
inline std::string content(const FourRooms::Scene& scene, int64_t x, int64_t y) {
  if (scene.is_wall(x, y)) return "wall";
  if (scene.x == x && scene.y == y) return "agent " + std::to_string(scene.direction);
  for (const auto& object : scene.objects)
    if (object.x == x && object.y == y) return name_of_object(object);
  return "floor";
}

}  // namespace mugato::env
