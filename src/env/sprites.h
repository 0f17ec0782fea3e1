// The cells of the grid world's image: 8x8 pixels each, drawn once at compile time.
#pragma once

#include <array>
#include <cstdint>

#include "mugato/env/four_rooms.h"

namespace mugato::env {

using Sprite = std::array<uint8_t, FourRooms::kCellPixels * FourRooms::kCellPixels * 3>;  // row-major RGB

const Sprite& floor_sprite();
const Sprite& wall_sprite();
const Sprite& object_sprite(FourRooms::Kind kind, Color color);
const Sprite& agent_sprite(int64_t direction);

}  // namespace mugato::env
