// The colours of the grid world and of the drawn scenes: one table for the images, the words and the pictures.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mugato::env {

enum class Color : uint8_t { kRed, kGreen, kBlue, kYellow, kPurple, kOrange };

struct Rgb {
  uint8_t red = 0, green = 0, blue = 0;
};

constexpr const char* name_of(Color color) {
  constexpr std::array<const char*, 6> kNames{"red", "green", "blue", "yellow", "purple", "orange"};
  return kNames[static_cast<size_t>(color)];
}

// Saturated and far apart, so that a linear map of the pixels tells them.
constexpr Rgb rgb_of(Color color) {
  constexpr std::array<Rgb, 6> kValues{
      {{235, 30, 35}, {0, 190, 60}, {40, 90, 255}, {255, 230, 20}, {165, 40, 225}, {255, 140, 0}}};
  return kValues[static_cast<size_t>(color)];
}

}  // namespace mugato::env
