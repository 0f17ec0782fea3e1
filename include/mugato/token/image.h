// Images to patches (paper 2.1): padded, never squashed, to multiples of 16, cut into 16x16 patches in raster order. Patches
// travel as bytes; every pixel becomes a float in [-1, 1], divided by sqrt(16) = 4, on the device that embeds it.
// Shape legend: E timesteps, H height, W width, T patches of an image, P patches in all.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

namespace mugato {

inline constexpr int64_t kPatchSize = 16;
inline constexpr int64_t kPatchBytes = kPatchSize * kPatchSize * 3;  // 768: rows of pixels, each pixel R, G, B
inline constexpr int64_t kPatchPositionBuckets = 128;                // paper C.3

struct PatchGrid {
  int64_t rows = 0, columns = 0;
  int64_t num_patches() const { return rows * columns; }
};
PatchGrid patch_grid(int64_t height, int64_t width);

// images (E,H,W) or (E,H,W,C), C = 1 grey, 3 RGB, 4 RGBA (alpha dropped), uint8 or floating in [0, 1] (rounded to 8 bits), to
// patches (E,T,768) uint8, T = patch_grid(H, W).num_patches(); padding, at the right and the bottom, is black.
// Throws Error that names `field` and the index for another rank, type or number of channels, for an empty image, and for a
// floating value that is NaN or outside of [0, 1].
at::Tensor cut_patches(const at::Tensor& images, const std::string& field);

// The same for one image of `channels` bytes a pixel, rows without gaps, to its patches one after the other.
void cut_image(const uint8_t* pixels, int64_t height, int64_t width, int64_t channels, uint8_t* patches);

// Throws Error as cut_patches() does, but for the values of pixels.
void check_images(const at::Tensor& images, const std::string& field);

// The inverse, for pictures and tests: (E,T,768) to (E,H,W,3) uint8, the padding cut away.
at::Tensor join_patches(const at::Tensor& patches, int64_t height, int64_t width);

// Patch bytes (P,768), each pixel R, G, B, to floats (P,3,16,16): byte b to (b / 255 * 2 - 1) / 4. On CUDA one kernel
// (src/token/patch_normalize.cu); on the CPU the reference it is tested against.
at::Tensor normalize_patches(const at::Tensor& patches);

// The buckets, of 128, that a patch covers along one axis: index i of n covers [floor(128 i / n), floor(128 (i+1) / n)), at
// least one bucket, never beyond 127 (paper C.3). More than 128 patches along an axis share buckets.
struct BucketInterval {
  int64_t begin = 0, end = 1;                                                     // [begin, end)
  int64_t mean() const { return (begin + end - 1) / 2 + (begin + end - 1) % 2; }  // rounded half up, always within
};
BucketInterval patch_interval(int64_t index, int64_t num_patches);

}  // namespace mugato
