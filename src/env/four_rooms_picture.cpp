// The grid world as people like to see it.
#include <opencv2/imgproc.hpp>

#include "mugato/env/four_rooms.h"
#include "painting.h"

namespace mugato::env {
namespace {

constexpr int kTile = 64, kSide = int{FourRooms::kCells} * kTile, kCaption = 48;
constexpr Rgb kFloor{26, 28, 33}, kGrid{44, 47, 54}, kWall{112, 116, 126}, kWhite{255, 255, 255}, kCaptionBand{14, 15, 18};

void fill(cv::Mat& canvas, const std::vector<cv::Point>& corners, Rgb color) {
  cv::fillConvexPoly(canvas, corners, ink(color), cv::LINE_AA, kShift);
}

void fill_box(cv::Mat& canvas, double left, double top, double right, double bottom, Rgb color) {
  fill(canvas, {fine(left, top), fine(right, top), fine(right, bottom), fine(left, bottom)}, color);
}

void draw_key(cv::Mat& canvas, double x, double y, Rgb color) {
  cv::circle(canvas, fine(x - 12, y - 2), 11 << kShift, ink(color), 7, cv::LINE_AA, kShift);
  fill_box(canvas, x - 2, y - 5, x + 25, y + 2, color);
  fill_box(canvas, x + 18, y, x + 24, y + 12, color);
  fill_box(canvas, x + 8, y, x + 14, y + 9, color);
}

void draw_ball(cv::Mat& canvas, double x, double y, Rgb color) {
  cv::circle(canvas, fine(x, y), 20 << kShift, ink(color), cv::FILLED, cv::LINE_AA, kShift);
  cv::circle(canvas, fine(x - 7, y - 7), 4 << kShift, ink(kWhite), cv::FILLED, cv::LINE_AA, kShift);
}

void draw_box(cv::Mat& canvas, double x, double y, Rgb color) {
  fill_box(canvas, x - 22, y - 22, x + 22, y + 22, color);
  fill_box(canvas, x - 16, y - 10, x + 16, y + 16, kFloor);
  fill_box(canvas, x - 16, y - 16, x + 16, y - 14, kFloor);
  fill_box(canvas, x - 4, y - 14, x + 4, y - 3, color);
}

void draw_agent(cv::Mat& canvas, double x, double y, int64_t direction) {
  const double ahead_x = direction == 0 ? 1 : direction == 2 ? -1 : 0, ahead_y = direction == 1 ? 1 : direction == 3 ? -1 : 0;
  const auto at = [&](double ahead, double right) {
    return fine(x + ahead * ahead_x - right * ahead_y, y + ahead * ahead_y + right * ahead_x);
  };
  fill(canvas, {at(24, 0), at(-18, 19), at(-18, -19)}, kWhite);
}

}  // namespace

at::Tensor FourRooms::picture() const {
  TORCH_CHECK(!scene_.objects.empty(), "four_rooms: picture() before the first reset()");
  Painting painting(kSide + kCaption, kSide, kFloor);
  auto& canvas = painting.canvas;
  for (int i = 1; i < kCells; ++i) {
    cv::line(canvas, {i * kTile, 0}, {i * kTile, kSide - 1}, ink(kGrid));
    cv::line(canvas, {0, i * kTile}, {kSide - 1, i * kTile}, ink(kGrid));
  }
  for (int y = 0; y < kCells; ++y)
    for (int x = 0; x < kCells; ++x)
      if (scene_.is_wall(x, y)) cv::rectangle(canvas, {x * kTile, y * kTile, kTile, kTile}, ink(kWall), cv::FILLED);

  const auto center = [](int64_t index) { return (static_cast<double>(index) + 0.5) * kTile; };
  for (const auto& object : scene_.objects) {
    const auto draw = object.kind == Kind::kKey ? draw_key : object.kind == Kind::kBall ? draw_ball : draw_box;
    draw(canvas, center(object.x), center(object.y), rgb_of(object.color));
  }
  draw_agent(canvas, center(scene_.x), center(scene_.y), scene_.direction);

  cv::rectangle(canvas, {0, kSide, kSide, kCaption}, ink(kCaptionBand), cv::FILLED);
  write(painting, mission_, 16, kSide + 32, 0.8, kWhite);
  write(painting, "step " + std::to_string(num_steps_), kSide - 120, kSide + 32, 0.7, kWall);
  return painting.pixels;
}

}  // namespace mugato::env
