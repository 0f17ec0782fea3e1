// The colours of a GIF.
#pragma once

#include <ATen/ATen.h>

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace mugato::env {

// At most 256 colours for all frames, uint8 (H,W,3): the very colours where they are few enough, else by median cut of their
// histogram at 5 bits per channel.
class Palette {
 public:
  static constexpr size_t kMaxColors = 256;
  using Color = std::array<uint8_t, 3>;

  explicit Palette(std::span<const at::Tensor> frames);

  const std::vector<Color>& colors() const { return colors_; }

  // Of a pixel of the frames.
  uint8_t index_of(const uint8_t* rgb) const;

 private:
  bool collect(const at::Tensor& frame);
  void quantise(std::span<const at::Tensor> frames);
  uint8_t nearest(const Color& color) const;

  std::vector<Color> colors_;
  std::unordered_map<uint32_t, uint8_t> exact_;  // by packed colour; empty when there are too many colours
  std::vector<uint8_t> nearest_;                 // by bin of the histogram
};

}  // namespace mugato::env
