#include "painting.h"

#include <opencv2/imgproc.hpp>

namespace mugato::env {

Painting::Painting(int height, int width, Rgb background)
    : pixels(at::empty({height, width, 3}, at::kByte)), canvas(height, width, CV_8UC3, pixels.mutable_data_ptr()) {
  canvas = ink(background);
}

void write(Painting& painting, const std::string& text, int x, int y, double scale, Rgb color) {
  constexpr int kFont = cv::FONT_HERSHEY_DUPLEX, kThickness = 1, kMargin = 16;
  const int width = cv::getTextSize(text, kFont, scale, kThickness, nullptr).width, room = painting.canvas.cols - x - kMargin;
  if (width > room) scale *= static_cast<double>(room) / width;
  cv::putText(painting.canvas, text, {x, y}, kFont, scale, ink(color), kThickness, cv::LINE_AA);
}

}  // namespace mugato::env
