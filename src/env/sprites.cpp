#include "sprites.h"

#include <string_view>

namespace mugato::env {
namespace {

constexpr size_t kSide = FourRooms::kCellPixels;
using Mask = std::array<bool, kSide * kSide>;

constexpr Mask mask(std::string_view art) {
  Mask pixels{};
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = art[i] == '#';
  return pixels;
}

constexpr Mask turned_right(const Mask& pixels) {
  Mask turned{};
  for (size_t y = 0; y < kSide; ++y)
    for (size_t x = 0; x < kSide; ++x) turned[x * kSide + (kSide - 1 - y)] = pixels[y * kSide + x];
  return turned;
}

// On a floor of middle grey, which is zero for an embedder: what stands on it is what differs.
constexpr Sprite paint(const Mask& pixels, Rgb color) {
  Sprite sprite{};
  for (uint8_t& byte : sprite) byte = 127;
  for (size_t i = 0; i < pixels.size(); ++i) {
    if (!pixels[i]) continue;
    sprite[3 * i] = color.red;
    sprite[3 * i + 1] = color.green;
    sprite[3 * i + 2] = color.blue;
  }
  return sprite;
}

// The silhouettes share few pixels (the box and the ball none), so that a linear map of the pixels tells them.
constexpr std::array<Mask, 3> kObjectMasks{mask("........"
                                                ".###...."
                                                "#...#..."
                                                "#...####"
                                                "#...#.#."
                                                ".###..#."
                                                "........"
                                                "........"),
                                           mask("........"
                                                "..####.."
                                                ".######."
                                                ".######."
                                                ".######."
                                                ".######."
                                                "..####.."
                                                "........"),
                                           mask("########"
                                                "#......#"
                                                "#......#"
                                                "#......#"
                                                "#......#"
                                                "#......#"
                                                "#......#"
                                                "########")};
constexpr Mask kAgentMask = mask(
    "##......"
    "####...."
    "######.."
    "########"
    "########"
    "######.."
    "####...."
    "##......");
constexpr Mask kFull = mask(
    "########"
    "########"
    "########"
    "########"
    "########"
    "########"
    "########"
    "########");

constexpr Sprite kFloor = paint(Mask{}, {0, 0, 0});
constexpr Sprite kWall = paint(kFull, {0, 0, 0});

constexpr auto kObjects = [] {
  std::array<std::array<Sprite, 4>, 3> atlas{};
  for (size_t kind = 0; kind < atlas.size(); ++kind)
    for (size_t color = 0; color < atlas[kind].size(); ++color)
      atlas[kind][color] = paint(kObjectMasks[kind], rgb_of(static_cast<Color>(color)));
  return atlas;
}();

constexpr auto kAgents = [] {
  std::array<Sprite, 4> atlas{};
  Mask pixels = kAgentMask;
  for (auto& sprite : atlas) {
    sprite = paint(pixels, {255, 255, 255});
    pixels = turned_right(pixels);
  }
  return atlas;
}();

}  // namespace

const Sprite& floor_sprite() { return kFloor; }
const Sprite& wall_sprite() { return kWall; }
const Sprite& object_sprite(FourRooms::Kind kind, Color color) {
  return kObjects[static_cast<size_t>(kind)][static_cast<size_t>(color)];
}
const Sprite& agent_sprite(int64_t direction) { return kAgents[static_cast<size_t>(direction)]; }

}  // namespace mugato::env
