#include "palette.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace mugato::env {
namespace {

using Color = Palette::Color;

constexpr size_t kNumBins = 32 * 32 * 32;  // 5 bits per channel

struct Bin {
  Color color{};  // the mean of its pixels
  double count = 0.0;
  size_t index = 0;
};

uint32_t packed(const uint8_t* rgb) {
  return static_cast<uint32_t>(rgb[0]) << 16 | static_cast<uint32_t>(rgb[1]) << 8 | static_cast<uint32_t>(rgb[2]);
}

size_t bin_of(const uint8_t* rgb) {
  return static_cast<size_t>(rgb[0] >> 3) << 10 | static_cast<size_t>(rgb[1] >> 3) << 5 | static_cast<size_t>(rgb[2] >> 3);
}

// Calls visit(pixel) for every pixel until it returns false.
template <class Visit>
bool all_pixels(const at::Tensor& frame, const Visit& visit) {
  const auto contiguous = frame.contiguous();
  const uint8_t* pixel = contiguous.data_ptr<uint8_t>();
  for (const uint8_t* end = pixel + contiguous.numel(); pixel != end; pixel += 3)
    if (!visit(pixel)) return false;
  return true;
}

Color mean_color(const std::array<double, 3>& sum, double count) {
  Color color{};
  for (size_t channel = 0; channel < 3; ++channel) color[channel] = static_cast<uint8_t>(std::lround(sum[channel] / count));
  return color;
}

std::vector<Bin> histogram(std::span<const at::Tensor> frames) {
  std::vector<std::array<double, 4>> sums(kNumBins);  // red, green, blue, count
  for (const auto& frame : frames) {
    all_pixels(frame, [&sums](const uint8_t* pixel) {
      auto& sum = sums[bin_of(pixel)];
      for (size_t channel = 0; channel < 3; ++channel) sum[channel] += pixel[channel];
      ++sum[3];
      return true;
    });
  }
  std::vector<Bin> bins;
  for (size_t i = 0; i < kNumBins; ++i)
    if (sums[i][3] > 0.0) bins.push_back({mean_color({sums[i][0], sums[i][1], sums[i][2]}, sums[i][3]), sums[i][3], i});
  return bins;
}

// Median cut: the box with the most spread is cut at the median of its widest channel until there are enough boxes.
struct Box {
  std::span<Bin> bins;
  size_t channel = 0;   // the widest
  double spread = 0.0;  // its width, times the square root of the pixels: wide boxes of few pixels get their turn as well
};

double num_pixels(std::span<const Bin> bins) {
  return std::accumulate(bins.begin(), bins.end(), 0.0, [](double sum, const Bin& bin) { return sum + bin.count; });
}

Box measure(std::span<Bin> bins) {
  Box box{bins};
  for (size_t channel = 0; channel < 3; ++channel) {
    const auto [low, high] = std::minmax_element(
        bins.begin(), bins.end(), [channel](const Bin& a, const Bin& b) { return a.color[channel] < b.color[channel]; });
    const double spread = (high->color[channel] - low->color[channel]) * std::sqrt(num_pixels(bins));
    if (spread > box.spread) box = {bins, channel, spread};
  }
  return box;
}

std::pair<Box, Box> cut(const Box& box) {
  const auto bins = box.bins;
  const size_t channel = box.channel;
  std::sort(bins.begin(), bins.end(), [channel](const Bin& a, const Bin& b) { return a.color[channel] < b.color[channel]; });
  const double half = num_pixels(bins) / 2;
  size_t middle = 0;
  for (double count = 0.0; count < half; ++middle) count += bins[middle].count;
  middle = std::clamp(middle, size_t{1}, bins.size() - 1);
  return {measure(bins.first(middle)), measure(bins.subspan(middle))};
}

}  // namespace

Palette::Palette(std::span<const at::Tensor> frames) {
  if (std::all_of(frames.begin(), frames.end(), [this](const at::Tensor& frame) { return collect(frame); })) return;
  exact_.clear();
  colors_.clear();
  quantise(frames);
}

uint8_t Palette::index_of(const uint8_t* rgb) const { return exact_.empty() ? nearest_[bin_of(rgb)] : exact_.at(packed(rgb)); }

// Gives every new colour the next index; false when there are too many.
bool Palette::collect(const at::Tensor& frame) {
  return all_pixels(frame, [this](const uint8_t* pixel) {
    if (!exact_.try_emplace(packed(pixel), static_cast<uint8_t>(colors_.size())).second) return true;
    colors_.push_back({pixel[0], pixel[1], pixel[2]});
    return colors_.size() <= kMaxColors;
  });
}

void Palette::quantise(std::span<const at::Tensor> frames) {
  auto bins = histogram(frames);
  std::vector<Box> boxes{measure(bins)};
  while (boxes.size() < kMaxColors) {
    const auto widest =
        std::max_element(boxes.begin(), boxes.end(), [](const Box& a, const Box& b) { return a.spread < b.spread; });
    if (widest->spread <= 0.0) break;
    auto [one, other] = cut(*widest);
    *widest = one;
    boxes.push_back(other);
  }
  for (const Box& box : boxes) {
    std::array<double, 3> sum{};
    for (const Bin& bin : box.bins)
      for (size_t channel = 0; channel < 3; ++channel) sum[channel] += bin.count * bin.color[channel];
    colors_.push_back(mean_color(sum, num_pixels(box.bins)));
  }
  nearest_.assign(kNumBins, 0);
  for (const Bin& bin : bins) nearest_[bin.index] = nearest(bin.color);
}

uint8_t Palette::nearest(const Color& color) const {
  const auto distance = [&color](const Color& candidate) {
    int sum = 0;
    for (size_t channel = 0; channel < 3; ++channel)
      sum += (color[channel] - candidate[channel]) * (color[channel] - candidate[channel]);
    return sum;
  };
  const auto best = std::min_element(colors_.begin(), colors_.end(),
                                     [&](const Color& a, const Color& b) { return distance(a) < distance(b); });
  return static_cast<uint8_t>(best - colors_.begin());
}

}  // namespace mugato::env
