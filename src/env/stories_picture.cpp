// A story as people like to read it.
#include "mugato/env/stories.h"
#include "painting.h"

namespace mugato::env {
namespace {

constexpr int kHeight = 320, kWidth = 560, kLeft = 28, kTop = 56, kLineHeight = 34;
constexpr size_t kLineLength = 44;  // letters
constexpr double kScale = 0.62;
constexpr Rgb kPaper{246, 240, 226}, kText{52, 44, 38};

}  // namespace

at::Tensor Stories::picture(uint64_t seed) const {
  Painting painting(kHeight, kWidth, kPaper);
  int y = kTop;
  for (const auto& line : wrap(tell(seed).text, kLineLength)) {
    write(painting, line, kLeft, y, kScale, kText);
    y += kLineHeight;
  }
  return painting.pixels;
}

}  // namespace mugato::env
