// Help with the pictures for people: anti-aliased drawing with OpenCV on a tensor. Colours are RGB throughout.
#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "mugato/env/color.h"

namespace mugato::env {

inline cv::Scalar ink(Rgb color) { return {double(color.red), double(color.green), double(color.blue)}; }

// A picture (H,W,3) uint8 of one colour, and OpenCV's view of the same memory.
struct Painting {
  Painting(int height, int width, Rgb background);

  at::Tensor pixels;
  cv::Mat canvas;
};

// A point of 1/16 pixel precision, for the drawing functions that take kShift.
constexpr int kShift = 4;
inline cv::Point fine(double x, double y) {
  return {static_cast<int>(std::lround(x * (1 << kShift))), static_cast<int>(std::lround(y * (1 << kShift)))};
}

// Text with its baseline's left end at (x, y), made smaller where it would reach the right margin.
void write(Painting& painting, const std::string& text, int x, int y, double scale, Rgb color);

// The words of a text in lines of at most so many letters; a longer word is cut.
std::vector<std::string> wrap(const std::string& text, size_t line_length);

}  // namespace mugato::env
