#include "image_file.h"

#include <algorithm>
#include <array>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "image_codecs.h"
#include "mugato/core/error.h"

namespace mugato::data {
namespace {

constexpr size_t kMaxFile = size_t{64} << 20;  // OpenCV reads no larger WebP, and prints that

at::Tensor decode_with_opencv(std::string_view bytes, ImageSize size, const std::string& name) {
  if (bytes.size() > kMaxFile) refuse_image(name, "it has more than 64 MiB");
  const auto image = rgb_image(size.height, size.width, name);
  const cv::Mat file(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
  cv::Mat bgr;
  try {
    bgr = cv::imdecode(file, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  } catch (const cv::Exception&) {  // a side of more than 2^20 pixels
  }
  if (bgr.empty()) refuse_image(name, "its data are cut, damaged or of an unusual kind");
  if (bgr.rows != size.height || bgr.cols != size.width) refuse_image(name, "it has another size than its header says");
  cv::Mat rgb(bgr.rows, bgr.cols, CV_8UC3, image.mutable_data_ptr());
  cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  return image;
}

}  // namespace

void refuse_image(const std::string& name, const std::string& reason) {
  throw Error(name + ": the image cannot be read: " + reason, "replace the image, or remove it from the data set");
}

namespace {

void check_size(int64_t height, int64_t width, const std::string& name) {
  if (height < 1 || width < 1) refuse_image(name, "its header is cut or damaged: it says no size");
  if (width > kMaxImagePixels / height)
    refuse_image(name, "it has " + std::to_string(width) + "x" + std::to_string(height) + " pixels, the most is " +
                           std::to_string(kMaxImagePixels));
}

}  // namespace

at::Tensor rgb_image(int64_t height, int64_t width, const std::string& name) {
  check_size(height, width, name);
  return at::empty({height, width, 3}, at::kByte);
}

at::Tensor grey_image(int64_t height, int64_t width, const std::string& name) {
  check_size(height, width, name);
  return at::empty({height, width, 1}, at::kByte);
}

at::Tensor decode_image(std::string_view bytes, const std::string& name) {
  const auto begins = [bytes](std::string_view magic) { return bytes.starts_with(magic); };
  if (begins("\xff\xd8\xff")) return decode_jpeg(bytes, name);
  if (begins("\x89PNG\r\n\x1a\n")) return decode_png(bytes, name);
  if (begins("RIFF") && bytes.substr(std::min<size_t>(8, bytes.size()), 4) == "WEBP")
    return decode_with_opencv(bytes, webp_size(bytes), name);
  if (begins("BM")) return decode_with_opencv(bytes, bmp_size(bytes), name);
  if (begins("P") && bytes.size() > 2 && bytes[1] >= '1' && bytes[1] <= '6')
    return decode_with_opencv(bytes, pnm_size(bytes), name);
  if (begins(std::string_view("II*\0", 4)) || begins(std::string_view("MM\0*", 4)))
    return decode_with_opencv(bytes, tiff_size(bytes), name);
  refuse_image(name, bytes.empty() ? "it is empty" : "it is no JPEG, PNG, WebP, BMP, PPM or TIFF");
}

bool is_image_extension(const std::string& extension) {
  constexpr std::array<const char*, 10> kExtensions{"jpg", "jpeg", "png", "webp", "bmp", "ppm", "pgm", "pbm", "tif", "tiff"};
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

}  // namespace mugato::data
