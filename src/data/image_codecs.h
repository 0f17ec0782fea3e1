// The decoders behind decode_image, one for each kind of file. All take the whole file and the name for messages.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <string_view>

namespace mugato::data {

at::Tensor decode_jpeg(std::string_view bytes, const std::string& name);
at::Tensor decode_jpeg_channels(std::string_view bytes, const std::string& name);  // (H,W,1) of a grey file

// Into (height, width, channels) bytes: of a file whose header says just this, with one channel or three. Gives what is wrong
// with the file; empty where nothing is.
std::string decode_jpeg_into(std::string_view bytes, int64_t height, int64_t width, int64_t channels, uint8_t* pixels);

at::Tensor decode_png(std::string_view bytes, const std::string& name);

// Pixels for an image of this size, uint8 (H,W,3) or (H,W,1). Throws Error for a size that decode_image refuses.
at::Tensor rgb_image(int64_t height, int64_t width, const std::string& name);
at::Tensor grey_image(int64_t height, int64_t width, const std::string& name);

[[noreturn]] void refuse_image(const std::string& name, const std::string& reason);

// What the header of a WebP, BMP, PPM or TIFF file says; zeros when it says nothing.
struct ImageSize {
  int64_t height = 0, width = 0;
};
ImageSize webp_size(std::string_view bytes);
ImageSize bmp_size(std::string_view bytes);
ImageSize pnm_size(std::string_view bytes);
ImageSize tiff_size(std::string_view bytes);

}  // namespace mugato::data
