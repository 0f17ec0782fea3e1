// By libpng itself: OpenCV prints its warnings, which whole files cause as well.
#include <png.h>

#include <cstdio>
#include <cstring>

#include "image_codecs.h"

namespace mugato::data {
namespace {

// The library reports errors by longjmp: no object with a destructor lives in a function that it may leave.
struct PngReader {
  std::string_view rest;
  char message[256] = "not enough memory";
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, fail, ignore_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;

  explicit PngReader(std::string_view bytes) : rest(bytes) {}
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  [[noreturn]] static void fail(png_structp png, png_const_charp message) {
    auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(reader->message, sizeof(reader->message), "%s", message);
    png_longjmp(png, 1);
  }
  static void ignore_warning(png_structp, png_const_charp) {}

  static void give(png_structp png, png_bytep target, size_t length) {
    auto& rest = static_cast<PngReader*>(png_get_io_ptr(png))->rest;
    if (length > rest.size()) png_error(png, "the file ends too early");
    std::memcpy(target, rest.data(), length);
    rest.remove_prefix(length);
  }

  // Everything is asked for as 8 bits of red, green and blue.
  bool read_header() {
    if (!info) return false;
    if (setjmp(png_jmpbuf(png))) return false;
    png_set_read_fn(png, this, give);
    png_read_info(png, info);
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_strip_alpha(png);
    png_set_gray_to_rgb(png);
    return true;
  }

  bool read_pixels(uint8_t* rgb, size_t row_bytes) {
    if (setjmp(png_jmpbuf(png))) return false;
    const int num_passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != row_bytes) png_error(png, "its rows have another length than its width says");
    const size_t height = png_get_image_height(png, info);
    for (int pass = 0; pass < num_passes; ++pass)
      for (size_t y = 0; y < height; ++y) png_read_row(png, rgb + y * row_bytes, nullptr);
    png_read_end(png, nullptr);
    return true;
  }
};

}  // namespace

at::Tensor decode_png(std::string_view bytes, const std::string& name) {
  PngReader reader(bytes);
  if (!reader.read_header()) refuse_image(name, reader.message);
  const int64_t width = png_get_image_width(reader.png, reader.info);
  const auto image = rgb_image(png_get_image_height(reader.png, reader.info), width, name);
  if (!reader.read_pixels(image.mutable_data_ptr<uint8_t>(), static_cast<size_t>(3 * width)))
    refuse_image(name, reader.message);
  return image;
}

}  // namespace mugato::data
