// Shape legend: E timesteps, H height, W width, T patches of an image, P patches in all.
#include "mugato/token/image.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "index_text.h"
#include "mugato/core/error.h"

#ifdef MUGATO_CUDA
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "patch_normalize.h"
#endif

namespace mugato {
namespace {

constexpr int64_t kRowBytes = kPatchSize * 3;  // one row of a patch
constexpr int64_t kAhead = 4096;               // pixels are asked for before they are read, the next image's after the last

template <class T>
uint8_t to_byte(T value) {
  if constexpr (std::is_same_v<T, uint8_t>) return value;
  else return static_cast<uint8_t>(static_cast<double>(value) * 255.0 + 0.5);
}

// `count` neighbouring pixels of kChannels values each become RGB bytes. Inlined with a constant count of 16 it is a few
// moves of 16 bytes for uint8 RGB.
template <class T, int kChannels>
inline void copy_pixels(const T* source, int64_t count, uint8_t* target) {
  if constexpr (std::is_same_v<T, uint8_t> && kChannels == 3) {
    std::memcpy(target, source, static_cast<size_t>(count) * 3);
  } else {
    for (int64_t x = 0; x < count; ++x)
      for (int64_t c = 0; c < 3; ++c) target[3 * x + c] = to_byte(source[kChannels * x + (kChannels == 1 ? 0 : c)]);
  }
}

// Keeps the first `count` pixels of a patch's row, and makes the others black.
struct PixelMask {
  explicit PixelMask(int64_t count) { std::fill_n(bytes, 3 * count, uint8_t{0xff}); }
  uint8_t bytes[kRowBytes] = {};
};

// `source` goes on behind the image's edge, with the next row of pixels.
inline void copy_masked(const uint8_t* __restrict source, const PixelMask& mask, uint8_t* __restrict target) {
  for (int64_t i = 0; i < kRowBytes; ++i) target[i] = source[i] & mask.bytes[i];
}

// A row of the image to a row of each of its patches, which are neighbours in memory. `end` is where the image ends.
template <class T, int kChannels>
inline void cut_row(const T* source, const T* end, int64_t width, const PixelMask& mask, uint8_t* patch) {
  for (; width >= kPatchSize; width -= kPatchSize, source += kPatchSize * kChannels, patch += kPatchBytes)
    copy_pixels<T, kChannels>(source, kPatchSize, patch);
  if (width == 0) return;
  if constexpr (std::is_same_v<T, uint8_t> && kChannels == 3)
    if (end - source >= kRowBytes) return copy_masked(source, mask, patch);
  copy_pixels<T, kChannels>(source, width, patch);
  std::memset(patch + width * 3, 0, static_cast<size_t>(kRowBytes - width * 3));
}

template <class T, int kChannels>
void cut_one(const T* image, int64_t height, int64_t width, uint8_t* patches) {
  const PatchGrid grid = patch_grid(height, width);
  const PixelMask mask(width % kPatchSize);
  const T* end = image + height * width * kChannels;
  for (int64_t row = 0; row < grid.rows; ++row, patches += grid.columns * kPatchBytes) {
    const int64_t num_lines = std::min(kPatchSize, height - row * kPatchSize);
    for (int64_t y = 0; y < num_lines; ++y, image += width * kChannels) {
      for (int64_t x = 0; x < width * kChannels; x += 64) __builtin_prefetch(image + kAhead + x);
      cut_row<T, kChannels>(image, end, width, mask, patches + y * kRowBytes);
    }
    if (num_lines == kPatchSize) continue;
    for (int64_t column = 0; column < grid.columns; ++column)
      std::memset(patches + column * kPatchBytes + num_lines * kRowBytes, 0,
                  static_cast<size_t>((kPatchSize - num_lines) * kRowBytes));
  }
}

template <class T>
void cut_channels(const T* image, int64_t height, int64_t width, int64_t channels, uint8_t* patches) {
  if (channels == 1) cut_one<T, 1>(image, height, width, patches);
  else if (channels == 3) cut_one<T, 3>(image, height, width, patches);
  else cut_one<T, 4>(image, height, width, patches);
}

template <class T>
void check_unit_values(const at::Tensor& images, const std::string& field) {
  const T* values = images.const_data_ptr<T>();
  const int64_t count = images.numel();
  bool all_within = true;
  for (int64_t i = 0; i < count; ++i) all_within &= values[i] >= T{0} && values[i] <= T{1};  // false for NaN
  if (all_within) return;
  int64_t i = 0;
  while (values[i] >= T{0} && values[i] <= T{1}) ++i;
  throw Error("field '" + field + "': pixel value " + std::to_string(values[i]) + " at " + index_text(i, images.sizes()) +
                  " is not in [0, 1]",
              "floating pixels are in [0, 1]; pixels in [0, 255] are given as uint8");
}

template <class T>
void cut_typed(const at::Tensor& images, const std::string& field, uint8_t* patches) {
  if constexpr (!std::is_same_v<T, uint8_t>) check_unit_values<T>(images, field);
  const int64_t height = images.size(1), width = images.size(2), channels = images.dim() == 3 ? 1 : images.size(3);
  const int64_t num_patches = patch_grid(height, width).num_patches();
  const T* image = images.const_data_ptr<T>();
  for (int64_t e = 0; e < images.size(0); ++e, image += height * width * channels, patches += num_patches * kPatchBytes)
    cut_channels(image, height, width, channels, patches);
}

// (2 b - 255) / 1020 equals (b / 255 * 2 - 1) / 4 and is rounded once.
std::array<float, 256> normalized_bytes() {
  std::array<float, 256> table;
  for (size_t byte = 0; byte < table.size(); ++byte)
    table[byte] = static_cast<float>(2 * static_cast<int>(byte) - 255) / 1020.0f;
  return table;
}

void normalize_on_cpu(const uint8_t* patches, int64_t num_patches, float* normalized) {
  const std::array<float, 256> table = normalized_bytes();
  constexpr int64_t kPixels = kPatchSize * kPatchSize;
  at::parallel_for(0, num_patches, /*grain_size=*/64, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const uint8_t* bytes = patches + p * kPatchBytes;
      float* red = normalized + p * kPatchBytes;
      for (int64_t i = 0; i < kPixels; ++i) {
        red[i] = table[bytes[3 * i]];
        red[kPixels + i] = table[bytes[3 * i + 1]];
        red[2 * kPixels + i] = table[bytes[3 * i + 2]];
      }
    }
  });
}

void normalize_on_cuda([[maybe_unused]] const at::Tensor& patches, [[maybe_unused]] at::Tensor& normalized) {
#ifdef MUGATO_CUDA
  const c10::cuda::CUDAGuard guard(patches.device());
  // The kernel reads 16 bytes at a time: a view that starts elsewhere is copied.
  const bool aligned = reinterpret_cast<uintptr_t>(patches.const_data_ptr()) % 16 == 0;
  const at::Tensor source = aligned ? patches : patches.clone();
  const char* problem =
      mugato_normalize_patches(source.const_data_ptr<uint8_t>(), source.size(0), normalized.mutable_data_ptr<float>(),
                               c10::cuda::getCurrentCUDAStream().stream());
  TORCH_CHECK(problem == nullptr, "normalize_patches on CUDA: ", problem);
#else
  TORCH_CHECK(false, "normalize_patches on CUDA in a build without CUDA");
#endif
}

}  // namespace

PatchGrid patch_grid(int64_t height, int64_t width) {
  return {(height + kPatchSize - 1) / kPatchSize, (width + kPatchSize - 1) / kPatchSize};
}

void check_images(const at::Tensor& images, const std::string& field) {
  const std::string where = "field '" + field + "': images of shape " + shape_text(images.sizes());
  if (images.dim() != 3 && images.dim() != 4)
    throw Error(where, "images are (E,H,W) or (E,H,W,C): one picture a timestep, height before width, channels last");
  const int64_t num_channels = images.dim() == 3 ? 1 : images.size(3);
  if (num_channels != 1 && num_channels != 3 && num_channels != 4)
    throw Error(where + " have " + std::to_string(num_channels) + " channels",
                "1 (grey), 3 (RGB) or 4 (RGBA) channels, as the last axis");
  if (images.size(1) == 0 || images.size(2) == 0) throw Error(where + " are empty", "every picture has at least one pixel");
  if (images.scalar_type() != at::kByte && !at::isFloatingType(images.scalar_type()))
    throw Error(where + " are of type " + c10::toString(images.scalar_type()), "pixels are uint8, or floating in [0, 1]");
  TORCH_CHECK(images.is_cpu(), where, " are not on the CPU, where patches are cut");
}

void cut_image(const uint8_t* pixels, int64_t height, int64_t width, int64_t channels, uint8_t* patches) {
  cut_channels(pixels, height, width, channels, patches);
}

at::Tensor cut_patches(const at::Tensor& images, const std::string& field) {
  check_images(images, field);
  const at::Tensor contiguous = images.contiguous();
  at::Tensor patches =
      at::empty({images.size(0), patch_grid(images.size(1), images.size(2)).num_patches(), kPatchBytes}, at::kByte);
  uint8_t* out = patches.mutable_data_ptr<uint8_t>();
  switch (images.scalar_type()) {
    case at::kByte:
      cut_typed<uint8_t>(contiguous, field, out);
      break;
    case at::kDouble:
      cut_typed<double>(contiguous, field, out);
      break;
    default:
      cut_typed<float>(contiguous.to(at::kFloat), field, out);
  }
  return patches;
}

at::Tensor join_patches(const at::Tensor& patches, int64_t height, int64_t width) {
  const PatchGrid grid = patch_grid(height, width);
  TORCH_CHECK(patches.scalar_type() == at::kByte && patches.dim() == 3 && patches.size(1) == grid.num_patches() &&
                  patches.size(2) == kPatchBytes,
              "patches ", patches.sizes(), " of type ", patches.scalar_type(), " for images of ", height, " x ", width);
  const int64_t num_images = patches.size(0);
  const at::Tensor tiles = patches.reshape({num_images, grid.rows, grid.columns, kPatchSize, kPatchSize, 3});
  const at::Tensor padded =
      tiles.permute({0, 1, 3, 2, 4, 5}).reshape({num_images, grid.rows * kPatchSize, grid.columns * kPatchSize, 3});
  return padded.narrow(1, 0, height).narrow(2, 0, width).contiguous();
}

at::Tensor normalize_patches(const at::Tensor& patches) {
  TORCH_CHECK(patches.scalar_type() == at::kByte && patches.dim() == 2 && patches.size(1) == kPatchBytes,
              "normalize_patches takes uint8 (P,768), not ", patches.scalar_type(), " ", patches.sizes());
  const at::Tensor contiguous = patches.contiguous();
  at::Tensor normalized = at::empty({patches.size(0), 3, kPatchSize, kPatchSize}, patches.options().dtype(at::kFloat));
  if (patches.is_cuda()) normalize_on_cuda(contiguous, normalized);
  else normalize_on_cpu(contiguous.const_data_ptr<uint8_t>(), patches.size(0), normalized.mutable_data_ptr<float>());
  return normalized;
}

BucketInterval patch_interval(int64_t index, int64_t num_patches) {
  TORCH_CHECK(index >= 0 && index < num_patches, "patch ", index, " of ", num_patches, " along an axis");
  const int64_t begin = kPatchPositionBuckets * index / num_patches;
  const int64_t end = kPatchPositionBuckets * (index + 1) / num_patches;
  return {begin, std::max(end, begin + 1)};
}

}  // namespace mugato
