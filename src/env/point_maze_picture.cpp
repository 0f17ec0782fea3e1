// The picture of the maze for people.
#include <ATen/ATen.h>

#include <cmath>
#include <opencv2/imgproc.hpp>

#include "mugato/env/point_maze.h"

namespace mugato::env {
namespace {

using Point = PointMaze::Point;

constexpr int kPixels = 320;
constexpr int kSubpixelBits = 4;  // OpenCV's drawing takes coordinates in 1/16 pixel

const cv::Scalar kFloor(245, 243, 238), kWall(74, 84, 99), kGoal(58, 158, 96), kGoalArea(196, 229, 205);
const cv::Scalar kWay(150, 180, 214), kMass(32, 92, 168), kVelocity(214, 84, 44);

int subpixels(double pixels) { return static_cast<int>(std::lround(pixels * (1 << kSubpixelBits))); }

// Pixel centres are at whole coordinates in OpenCV, hence the half.
cv::Point to_picture(Point point) {
  return {subpixels((static_cast<double>(point[0]) + 1.0) / 2.0 * kPixels - 0.5),
          subpixels((1.0 - static_cast<double>(point[1])) / 2.0 * kPixels - 0.5)};
}

void draw_disc(cv::Mat& image, Point centre, double radius, const cv::Scalar& color) {
  cv::circle(image, to_picture(centre), subpixels(radius * kPixels / 2), color, cv::FILLED, cv::LINE_AA, kSubpixelBits);
}

void draw_line(cv::Mat& image, Point from, Point to, const cv::Scalar& color) {
  cv::line(image, to_picture(from), to_picture(to), color, 3, cv::LINE_AA, kSubpixelBits);
}

}  // namespace

at::Tensor PointMaze::picture() const {
  auto pixels = at::empty({kPixels, kPixels, 3}, at::kByte);
  cv::Mat image(kPixels, kPixels, CV_8UC3, pixels.data_ptr<uint8_t>());
  for (int row = 0; row < kPixels; ++row)
    for (int column = 0; column < kPixels; ++column) {
      const Point point{(static_cast<float>(column) + 0.5F) * 2 / kPixels - 1,
                        1 - (static_cast<float>(row) + 0.5F) * 2 / kPixels};
      const cv::Scalar& color = is_wall(state_.layout, point) ? kWall : kFloor;
      for (int channel = 0; channel < 3; ++channel)
        image.at<cv::Vec3b>(row, column)[channel] = static_cast<uint8_t>(color[channel]);
    }
  draw_disc(image, state_.goal, kSuccessRadius, kGoalArea);
  draw_disc(image, state_.goal, 0.03, kGoal);
  for (size_t i = 1; i < way_.size(); ++i) draw_line(image, way_[i - 1], way_[i], kWay);
  for (const Point& point : way_) draw_disc(image, point, 0.013, kWay);
  draw_disc(image, state_.position, 0.045, kMass);
  // The arrow shows the way of the next two steps.
  const Point tip{state_.position[0] + 2 * kTimeStep * state_.velocity[0],
                  state_.position[1] + 2 * kTimeStep * state_.velocity[1]};
  const float length = std::hypot(tip[0] - state_.position[0], tip[1] - state_.position[1]);
  if (length > 0.05F) {
    cv::arrowedLine(image, to_picture(state_.position), to_picture(tip), kVelocity, 3, cv::LINE_AA, kSubpixelBits,
                    std::min(0.35, 0.05 / static_cast<double>(length)));
  }
  return pixels;
}

}  // namespace mugato::env
