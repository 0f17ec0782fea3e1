#include "painting.h"

#include <opencv2/imgproc.hpp>
#include <sstream>

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

std::vector<std::string> wrap(const std::string& text, size_t line_length) {
  std::vector<std::string> lines(1);
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > line_length) lines.emplace_back();
    if (!lines.back().empty()) lines.back() += " ";
    for (; word.size() > line_length; word.erase(0, line_length)) {
      lines.back() += word.substr(0, line_length);
      lines.emplace_back();
    }
    lines.back() += word;
  }
  return lines;
}

}  // namespace mugato::env
