// By libjpeg itself: OpenCV prints its warnings, and gives what was decoded of a damaged file as if it were whole.
#include <csetjmp>
#include <cstdio>
// jpeglib.h needs the types of cstdio.
#include <jpeglib.h>
// The codes of jpeglib's warnings.
#include <jerror.h>

#include "image_codecs.h"

namespace mugato::data {
namespace {

struct Failure {
  jpeg_error_mgr manager;  // first, so that the library's pointer to it is one to this
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void fail(j_common_ptr info) {
  auto* failure = reinterpret_cast<Failure*>(info->err);
  failure->manager.format_message(info, failure->message);
  std::longjmp(failure->jump, 1);
}

// Warnings (level -1) say that pixels were made up, except for these.
void judge(j_common_ptr info, int level) {
  const int code = info->err->msg_code;
  if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR && code != JWRN_ADOBE_XFORM) fail(info);
}

void print_nothing(j_common_ptr) {}

// The library reports errors by longjmp: no object with a destructor lives in a function that it may leave.
struct JpegReader {
  Failure failure{};
  jpeg_decompress_struct info{};
  bool keeps_grey;  // a grey file stays one channel
  bool is_grey = false;

  explicit JpegReader(bool keep_grey) : keeps_grey(keep_grey) {
    info.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = fail;
    failure.manager.emit_message = judge;
    failure.manager.output_message = print_nothing;
  }
  ~JpegReader() { jpeg_destroy_decompress(&info); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  bool read_header(std::string_view bytes) {
    if (setjmp(failure.jump)) return false;
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info, TRUE);
    is_grey = keeps_grey && info.jpeg_color_space == JCS_GRAYSCALE;
    info.out_color_space = is_grey ? JCS_GRAYSCALE : is_cmyk() ? JCS_CMYK : JCS_RGB;
    return true;
  }

  bool is_cmyk() const { return info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK; }

  // `row` is a row of CMYK, where the file has that.
  bool read_pixels(uint8_t* pixels, uint8_t* row) {
    if (setjmp(failure.jump)) return false;
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
      uint8_t* target = pixels + size_t{info.output_scanline} * info.output_width * (is_grey ? 1 : 3);
      uint8_t* scanline = row ? row : target;
      jpeg_read_scanlines(&info, &scanline, 1);
      if (row) to_rgb(row, target);
    }
    jpeg_finish_decompress(&info);
    return true;
  }

  // Files of four inks store them inverted, as Adobe's programs do.
  void to_rgb(const uint8_t* cmyk, uint8_t* rgb) const {
    for (size_t x = 0; x < info.output_width; ++x) {
      const int white = cmyk[4 * x + 3];
      for (size_t c = 0; c < 3; ++c) {
        const int product = (255 - cmyk[4 * x + c]) * white + 128;
        rgb[3 * x + c] = static_cast<uint8_t>(white - ((product + (product >> 8)) >> 8));
      }
    }
  }
};

at::Tensor decode(std::string_view bytes, bool keep_grey, const std::string& name) {
  JpegReader reader(keep_grey);
  if (!reader.read_header(bytes)) refuse_image(name, reader.failure.message);
  const int64_t height = reader.info.image_height, width = reader.info.image_width;
  const auto image = reader.is_grey ? grey_image(height, width, name) : rgb_image(height, width, name);
  const auto row = reader.is_cmyk() ? at::empty({4 * width}, at::kByte) : at::Tensor();
  if (!reader.read_pixels(image.mutable_data_ptr<uint8_t>(), row.defined() ? row.mutable_data_ptr<uint8_t>() : nullptr))
    refuse_image(name, reader.failure.message);
  return image;
}

}  // namespace

std::string decode_jpeg_into(std::string_view bytes, int64_t height, int64_t width, int64_t channels, uint8_t* pixels) {
  JpegReader reader(/*keep_grey=*/true);
  if (!reader.read_header(bytes)) return reader.failure.message;
  const auto& info = reader.info;
  if (info.image_height != height || info.image_width != width || info.num_components != channels || reader.is_cmyk())
    return "it has two headers";
  return reader.read_pixels(pixels, /*row=*/nullptr) ? "" : reader.failure.message;
}

at::Tensor decode_jpeg(std::string_view bytes, const std::string& name) { return decode(bytes, /*keep_grey=*/false, name); }

at::Tensor decode_jpeg_channels(std::string_view bytes, const std::string& name) {
  return decode(bytes, /*keep_grey=*/true, name);
}

}  // namespace mugato::data
