#include "encoded_image.h"

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "../image_codecs.h"
#include "mugato/core/error.h"

namespace mugato::data {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 26, kMaxEpisodeBytes = int64_t{4} << 30;

struct Size {
  int64_t height = 0, width = 0;
};

int64_t big_endian(std::string_view bytes, size_t begin, size_t length) {
  int64_t value = 0;
  for (size_t i = 0; i < length; ++i) value = value << 8 | static_cast<unsigned char>(bytes[begin + i]);
  return value;
}

bool is_png(std::string_view bytes) { return bytes.substr(0, 8) == std::string_view("\x89PNG\r\n\x1a\n", 8); }
bool is_jpeg(std::string_view bytes) { return bytes.substr(0, 3) == std::string_view("\xff\xd8\xff", 3); }

Size size_of(std::string_view bytes) {
  return bytes.size() < 24 ? Size{} : Size{big_endian(bytes, 20, 4), big_endian(bytes, 16, 4)};
}

cv::Mat decoded(std::string_view bytes, int flags, const std::string& where) {
  if (!is_png(bytes)) throw Error(where + ": the image is neither PNG nor JPEG", "convert it");
  const auto size = size_of(bytes);
  if (size.height <= 0 || size.width <= 0) throw Error(where + ": the image's header is broken", "make the data again");
  if (size.height > kMaxPixels / size.width)
    throw Error(where + ": the image has " + std::to_string(size.height) + " x " + std::to_string(size.width) +
                    " pixels, more than " + std::to_string(kMaxPixels),
                "make it smaller");
  const cv::Mat encoded(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
  cv::Mat image;
  try {
    image = cv::imdecode(encoded, flags);
  } catch (const cv::Exception&) {
    image.release();
  }
  if (image.empty()) throw Error(where + ": the image cannot be decoded", "it may be cut off: make the data again");
  if (image.depth() != CV_8U) throw Error(where + ": the image has more than 8 bits a channel", "convert it to 8 bits");
  return image;
}

at::Tensor tensor_of(const cv::Mat& image, int conversion) {
  auto pixels = at::empty({image.rows, image.cols, image.channels()}, at::kByte);
  cv::Mat out(image.rows, image.cols, image.type(), pixels.mutable_data_ptr());
  if (image.channels() == 1) image.copyTo(out);
  else cv::cvtColor(image, out, conversion);
  return pixels;
}

}  // namespace

at::Tensor decode_channels(std::string_view bytes, const std::string& where) {
  if (is_jpeg(bytes)) return decode_jpeg_channels(bytes, where);
  const auto image = decoded(bytes, cv::IMREAD_UNCHANGED, where);
  return tensor_of(image, image.channels() == 4 ? cv::COLOR_BGRA2RGBA : cv::COLOR_BGR2RGB);
}

at::Tensor decode_all(const std::vector<std::string>& encoded, at::Tensor (*decode)(std::string_view, const std::string&),
                      const std::string& where) {
  const auto count = static_cast<int64_t>(encoded.size());
  at::Tensor all;
  for (int64_t e = 0; e < count; ++e) {
    const auto here = where + " timestep " + std::to_string(e);
    const auto picture = decode(encoded[static_cast<size_t>(e)], here);
    if (e == 0) {
      check_picture_bytes(count, picture.numel(), where);
      all = at::empty({count, picture.size(0), picture.size(1), picture.size(2)}, at::kByte);
    }
    if (picture.sizes() != all.sizes().slice(1))
      throw Error(here + ": the picture has another size than the first", "all pictures of an episode have one size");
    all[e].copy_(picture);
  }
  return all;
}

void check_picture_bytes(int64_t num_pictures, int64_t bytes_each, const std::string& where) {
  if (bytes_each > 0 && num_pictures > kMaxEpisodeBytes / bytes_each)
    throw Error(where + ": its " + std::to_string(num_pictures) + " pictures would take more than " +
                    std::to_string(kMaxEpisodeBytes >> 30) + " GiB",
                "cut the data into shorter episodes, or smaller pictures");
}

}  // namespace mugato::data
