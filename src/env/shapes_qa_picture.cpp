// The drawn scene as people like to see it, with the question and its answer.
#include <opencv2/imgproc.hpp>

#include "mugato/env/shapes_qa.h"
#include "painting.h"

namespace mugato::env {
namespace {

constexpr int kScale = 8, kSide = int{ShapesQa::kImagePixels} * kScale, kCaption = 88;
constexpr Rgb kBackground{20, 20, 20}, kGrid{38, 38, 42}, kCaptionBand{10, 10, 12}, kWhite{255, 255, 255},
    kAnswer{140, 225, 160};

void draw(cv::Mat& canvas, const ShapesQa::Shape& shape) {
  const auto middle = [](int64_t cell, int64_t shift) {
    return kScale * (static_cast<double>(cell * ShapesQa::kCellPixels + shift) + 0.5 * ShapesQa::kCellPixels);
  };
  const double x = middle(shape.cell % ShapesQa::kCells, shape.shift_x);
  const double y = middle(shape.cell / ShapesQa::kCells, shape.shift_y);
  const double radius = static_cast<double>(shape.radius) * kScale, half = radius - kScale;
  const auto color = ink(rgb_of(shape.color));
  std::vector<cv::Point> corners;
  switch (shape.form) {
    case ShapesQa::Form::kCircle:
      cv::circle(canvas, fine(x, y), static_cast<int>(radius) << kShift, color, cv::FILLED, cv::LINE_AA, kShift);
      return;
    case ShapesQa::Form::kSquare:
      corners = {fine(x - half, y - half), fine(x + half, y - half), fine(x + half, y + half), fine(x - half, y + half)};
      break;
    case ShapesQa::Form::kTriangle:
      corners = {fine(x, y - radius), fine(x + radius, y + radius), fine(x - radius, y + radius)};
      break;
  }
  cv::fillConvexPoly(canvas, corners, color, cv::LINE_AA, kShift);
}

}  // namespace

at::Tensor ShapesQa::picture() const {
  TORCH_CHECK(!scene_.shapes.empty(), "shapes_qa: picture() before the first reset()");
  Painting painting(kSide + kCaption, kSide, kBackground);
  auto& canvas = painting.canvas;
  for (int i = 1; i < kCells; ++i) {
    const int line = i * kSide / static_cast<int>(kCells);
    cv::line(canvas, {line, 0}, {line, kSide - 1}, ink(kGrid));
    cv::line(canvas, {0, line}, {kSide - 1, line}, ink(kGrid));
  }
  for (const auto& shape : scene_.shapes) draw(canvas, shape);
  cv::rectangle(canvas, {0, kSide, kSide, kCaption}, ink(kCaptionBand), cv::FILLED);
  write(painting, scene_.question, 16, kSide + 34, 0.7, kWhite);
  write(painting, scene_.answer, 16, kSide + 70, 0.8, kAnswer);
  return painting.pixels;
}

}  // namespace mugato::env
