#include "jpeg.h"

#include <algorithm>
#include <optional>

#include "../image_codecs.h"
#include "mugato/core/error.h"

namespace mugato::data {
namespace {

struct Header {
  int64_t height, width, channels;
  bool operator==(const Header&) const = default;
  std::string text() const {
    return std::to_string(height) + "x" + std::to_string(width) + " with " + std::to_string(channels) +
           (channels == 1 ? " channel" : " channels");
  }
};

uint8_t byte_at(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }
int64_t word_at(std::string_view bytes, size_t at) { return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1); }

// Segments are FF, a marker, and a length that counts itself. C0 to CF are the frame headers, but for tables (C4, CC) and an
// extension (C8).
std::optional<Header> header_of(std::string_view bytes) {
  if (!is_jpeg(bytes)) return std::nullopt;
  for (size_t at = 2; at + 9 < bytes.size() && byte_at(bytes, at) == 0xFF;) {
    const uint8_t marker = byte_at(bytes, at + 1);
    if (marker == 0xFF) {
      ++at;  // fill
      continue;
    }
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC)
      return Header{word_at(bytes, at + 5), word_at(bytes, at + 7), byte_at(bytes, at + 9)};
    at += 2 + static_cast<size_t>(word_at(bytes, at + 2));
  }
  return std::nullopt;
}

}  // namespace

bool is_jpeg(std::string_view bytes) { return bytes.size() > 2 && byte_at(bytes, 0) == 0xFF && byte_at(bytes, 1) == 0xD8; }

void decode_jpegs(std::span<const std::string_view> images, const std::vector<int64_t>& shape, uint8_t* pixels,
                  const std::string& where) {
  const Header wanted{shape[0], shape[1], shape.size() == 3 ? shape[2] : 1};
  const int64_t size = wanted.height * wanted.width * wanted.channels;
  for (size_t i = 0; i < images.size(); ++i, pixels += size) {
    if (i > 0 && images[i] == images[i - 1]) {  // nothing moved
      std::copy_n(pixels - size, size, pixels);
      continue;
    }
    const auto found = header_of(images[i]);
    const auto name = [&] { return where + " at timestep " + std::to_string(i); };
    if (!found) throw Error(name() + " is no JPEG, nor raw pixels", "was the file copied whole? copy it again");
    if (*found != wanted || (wanted.channels != 1 && wanted.channels != 3))
      throw Error(name() + " is a JPEG of " + found->text() + ", its space says " + wanted.text(),
                  "the space is in metadata.json");
    const auto problem = decode_jpeg_into(images[i], wanted.height, wanted.width, wanted.channels, pixels);
    if (!problem.empty()) refuse_image(name(), problem);
  }
}

}  // namespace mugato::data
