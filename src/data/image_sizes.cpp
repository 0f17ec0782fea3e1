// The sizes that headers say, where a library would allocate the pixels before one can ask.
#include <algorithm>
#include <cctype>

#include "image_codecs.h"

namespace mugato::data {
namespace {

// Unsigned numbers of a file at byte offsets; 0 beyond its end.
struct Numbers {
  std::string_view bytes;
  bool big_endian = false;

  int64_t at(size_t offset, size_t width) const {
    if (offset > bytes.size() || width > bytes.size() - offset) return 0;
    int64_t value = 0;
    for (size_t i = 0; i < width; ++i) {
      const auto byte = static_cast<unsigned char>(bytes[offset + (big_endian ? i : width - 1 - i)]);
      value = value << 8 | byte;
    }
    return value;
  }
};

}  // namespace

ImageSize webp_size(std::string_view bytes) {
  if (bytes.size() < 32) return {};  // OpenCV reads no shorter ones
  const Numbers file{bytes};
  const auto chunk = bytes.substr(std::min<size_t>(12, bytes.size()), 4);
  if (chunk == "VP8X") return {1 + file.at(27, 3), 1 + file.at(24, 3)};
  if (chunk == "VP8 ") return {file.at(28, 2) & 0x3fff, file.at(26, 2) & 0x3fff};
  if (chunk != "VP8L") return {};
  const int64_t both = file.at(21, 4);
  return {1 + (both >> 14 & 0x3fff), 1 + (both & 0x3fff)};
}

ImageSize bmp_size(std::string_view bytes) {
  const Numbers file{bytes};
  if (file.at(14, 4) == 12) return {file.at(20, 2), file.at(18, 2)};  // the header of OS/2
  const auto height = static_cast<int32_t>(file.at(22, 4));           // negative: the top row comes first
  return {height < 0 ? -int64_t{height} : height, static_cast<int32_t>(file.at(18, 4))};
}

ImageSize pnm_size(std::string_view bytes) {
  int64_t numbers[2] = {0, 0};
  size_t i = 2;
  for (auto& number : numbers) {
    while (i < bytes.size() && !std::isdigit(static_cast<unsigned char>(bytes[i]))) {
      if (bytes[i] == '#') i = std::min(bytes.find('\n', i), bytes.size() - 1);
      ++i;
    }
    for (; i < bytes.size() && std::isdigit(static_cast<unsigned char>(bytes[i])); ++i)
      number = std::min<int64_t>(10 * number + (bytes[i] - '0'), INT32_MAX);
  }
  return {numbers[1], numbers[0]};
}

ImageSize tiff_size(std::string_view bytes) {
  const Numbers file{bytes, bytes.starts_with("MM")};
  const auto directory = static_cast<size_t>(file.at(4, 4));
  ImageSize size;
  for (size_t i = 0; i < static_cast<size_t>(file.at(directory, 2)); ++i) {
    const size_t entry = directory + 2 + 12 * i;
    const int64_t tag = file.at(entry, 2), value = file.at(entry + 8, file.at(entry + 2, 2) == 3 ? 2 : 4);
    if (tag == 256) size.width = value;
    if (tag == 257) size.height = value;
  }
  return size;
}

}  // namespace mugato::data
