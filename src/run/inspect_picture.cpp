#include <cmath>
#include <opencv2/imgproc.hpp>

#include "../env/painting.h"
#include "mugato/env/pictures.h"
#include "mugato/run/inspect.h"
#include "mugato/token/image.h"

namespace mugato::run {
namespace {

constexpr int kMargin = 8, kLineHeight = 15, kLeastWidth = 260, kLetterWidth = 7;
constexpr double kScale = 0.38;
constexpr int64_t kLeastSide = 224, kMostNumbers = 160;
constexpr size_t kMostLines = 40;
constexpr env::Rgb kPaper{250, 248, 243}, kInk{40, 40, 46};
const cv::Scalar kGrid(255, 0, 255);

// One timestep, before the size of all panels is known.
struct Panel {
  std::vector<at::Tensor> images;  // (H,W,3), with lines between the patches
  std::vector<std::string> texts;
};

// Patches (T,768) as a picture, small ones enlarged; the lines lie between patches, so that every pixel stays to be seen.
at::Tensor draw_patches(const at::Tensor& patches, const PatchGrid& grid) {
  const int64_t side = std::max(grid.rows, grid.columns) * kPatchSize, zoom = std::max<int64_t>(1, kLeastSide / side);
  const int64_t step = kPatchSize * zoom + 1;
  env::Painting painting(static_cast<int>(grid.rows * step - 1), static_cast<int>(grid.columns * step - 1), kPaper);
  painting.canvas = kGrid;
  for (int64_t p = 0; p < grid.num_patches(); ++p) {
    const auto patch = patches[p].view({kPatchSize, kPatchSize, 3}).repeat_interleave(zoom, 0).repeat_interleave(zoom, 1);
    painting.pixels.narrow(0, p / grid.columns * step, step - 1).narrow(1, p % grid.columns * step, step - 1).copy_(patch);
  }
  return painting.pixels;
}

std::string numbers_text(const at::Tensor& values) {
  const auto flat = values.to(at::kDouble).reshape({-1});
  std::string text;
  for (int64_t i = 0; i < std::min(flat.numel(), kMostNumbers); ++i) {
    char number[32];
    std::snprintf(number, sizeof number, "%.4g ", flat[i].item<double>());
    text += number;
  }
  return flat.numel() > kMostNumbers ? text + "and " + std::to_string(flat.numel() - kMostNumbers) + " more" : text;
}

// What the ids of timestep e mean.
std::string value_text(const FieldSpec& field, const FieldTokens& tokens, int64_t e, const Tokenizer& tokenizer) {
  const auto ids = tokens.tokens[e].index({tokens.valid[e]}).to(at::kLong).reshape({-1}).contiguous();
  const auto* first = ids.const_data_ptr<int64_t>();
  auto value = tokenizer.decode(field, {first, first + ids.numel()});
  if (const auto* numbers = std::get_if<at::Tensor>(&value)) return numbers_text(*numbers);
  return std::get<std::string>(std::move(value));
}

Panel panel_of(const Sample& sample, int64_t e, const Tokenizer& tokenizer) {
  Panel panel;
  panel.texts.push_back("timestep " + std::to_string(e) + (e < sample.prompt_steps ? " (prompt)" : ""));
  const auto order = step_order(*sample.schema);
  const auto add = [&](size_t index) {
    const auto& field = sample.schema->fields[index];
    const auto& tokens = sample.timesteps.fields[index];
    if (field.modality != Modality::kImage) {
      panel.texts.push_back(field.name + ": " + value_text(field, tokens, e, tokenizer));
    } else if (const auto& grid = tokens.grids[static_cast<size_t>(e)]; grid.num_patches() > 0) {
      panel.images.push_back(draw_patches(tokens.tokens[e], grid));
      panel.texts.push_back(field.name + ": " + std::to_string(grid.rows) + " x " + std::to_string(grid.columns) + " patches");
    }
  };
  for (const size_t index : order.observations) add(index);
  for (const size_t index : order.targets) add(index);
  return panel;
}

int64_t width_of(const Panel& panel) {
  int64_t width = kLeastWidth;
  for (const auto& image : panel.images) width = std::max(width, image.size(1) + 2 * kMargin);
  return width;
}

std::vector<std::string> lines_of(const Panel& panel, int64_t width) {
  std::vector<std::string> lines;
  for (const auto& text : panel.texts) {
    auto wrapped = env::wrap(text, static_cast<size_t>((width - 2 * kMargin) / kLetterWidth));
    if (wrapped.size() > kMostLines) {
      wrapped.resize(kMostLines);
      wrapped.push_back("...");
    }
    lines.insert(lines.end(), wrapped.begin(), wrapped.end());
  }
  return lines;
}

int64_t height_of(const Panel& panel, int64_t width) {
  int64_t height = 2 * kMargin + kLineHeight * static_cast<int64_t>(lines_of(panel, width).size());
  for (const auto& image : panel.images) height += image.size(0) + kMargin;
  return height;
}

at::Tensor draw_panel(const Panel& panel, int64_t height, int64_t width) {
  env::Painting painting(static_cast<int>(height), static_cast<int>(width), kPaper);
  int64_t y = kMargin;
  for (const auto& image : panel.images) {
    painting.pixels.narrow(0, y, image.size(0)).narrow(1, kMargin, image.size(1)).copy_(image);
    y += image.size(0) + kMargin;
  }
  for (const auto& line : lines_of(panel, width)) {
    y += kLineHeight;
    env::write(painting, line, kMargin, static_cast<int>(y), kScale, kInk);
  }
  return painting.pixels;
}

}  // namespace

at::Tensor draw(const Sample& sample, const Tokenizer& tokenizer) {
  std::vector<Panel> panels;
  for (int64_t e = 0; e < sample.timesteps.num_steps; ++e) panels.push_back(panel_of(sample, e, tokenizer));
  int64_t width = 0, height = 0;
  for (const auto& panel : panels) width = std::max(width, width_of(panel));
  for (const auto& panel : panels) height = std::max(height, height_of(panel, width));
  std::vector<at::Tensor> pictures;
  for (const auto& panel : panels) pictures.push_back(draw_panel(panel, height, width));
  const double square =
      std::sqrt(static_cast<double>(pictures.size()) * static_cast<double>(height) / static_cast<double>(width));
  return env::filmstrip(pictures, std::max(1, static_cast<int>(std::lround(square))));
}

}  // namespace mugato::run
