// A story as people like to read it.
#include <sstream>

#include "mugato/env/stories.h"
#include "painting.h"

namespace mugato::env {
namespace {

constexpr int kHeight = 320, kWidth = 560, kLeft = 28, kTop = 56, kLineHeight = 34;
constexpr size_t kLineLength = 44;  // letters
constexpr double kScale = 0.62;
constexpr Rgb kPaper{246, 240, 226}, kText{52, 44, 38};

std::vector<std::string> wrap(const std::string& text) {
  std::vector<std::string> lines(1);
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (lines.back().size() + 1 + word.size() > kLineLength) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
  }
  return lines;
}

}  // namespace

at::Tensor Stories::picture(uint64_t seed) const {
  Painting painting(kHeight, kWidth, kPaper);
  int y = kTop;
  for (const auto& line : wrap(tell(seed).text)) {
    write(painting, line, kLeft, y, kScale, kText);
    y += kLineHeight;
  }
  return painting.pixels;
}

}  // namespace mugato::env
