// Encoded images, told apart by their first bytes: JPEG, PNG, WebP, BMP, PPM and TIFF.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <string_view>

namespace mugato::data {

inline constexpr int64_t kMaxImagePixels = 100'000'000;  // of one image: 300 MB as RGB

// The image as uint8 RGB of shape (H,W,3), the values that Pillow's convert("RGB") gives: grey becomes three equal channels, of
// 16 bits the high 8 are kept, alpha is dropped without blending, and the orientation and the colour profile of the metadata
// are not applied. Throws Error, which begins with `name`, for what is none of these kinds, is cut or damaged, or has no
// pixels or more than kMaxImagePixels; the size is read before the pixels are allocated. Of a damaged BMP, PPM or
// TIFF, OpenCV prints a reason of its own, too; nothing else is printed.
at::Tensor decode_image(std::string_view bytes, const std::string& name);

// Whether files of this extension (lower case, without the dot) hold such an image.
bool is_image_extension(const std::string& extension);

}  // namespace mugato::data
