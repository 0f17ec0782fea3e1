#include "src/data/image_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "message_of.h"
#include "mugato/core/files.h"
#include "mugato/core/random.h"

namespace mugato::data {
namespace {

using mugato::testing::message_of;
using ::testing::HasSubstr;

const std::filesystem::path kFolder = std::filesystem::path(MUGATO_FIXTURES) / "images";

nlohmann::json expected() { return nlohmann::json::parse(read_file(kFolder / "expected.json")); }

// The image, or nothing when it is refused in the way that it should be.
std::optional<at::Tensor> decoded(const std::string& bytes) {
  try {
    return decode_image(bytes, "file x");
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("file x: the image cannot be read: "));
    return std::nullopt;
  }
}

// What decoding printed, which only the kinds that few data sets have may do.
void check_silence(const std::string& name) {
  const auto printed = ::testing::internal::GetCapturedStderr();
  for (const char* quiet : {".jpg", ".png", ".webp"}) EXPECT_TRUE(!name.ends_with(quiet) || printed.empty()) << name << printed;
}

std::string number(uint64_t value, int width, bool big_endian) {
  std::string bytes;
  for (int i = 0; i < width; ++i) bytes += static_cast<char>(value >> 8 * (big_endian ? width - 1 - i : i));
  return bytes;
}

TEST(ImageFile, EveryKindIsReadAsPillowReadsIt) {
  const auto files = expected();
  EXPECT_GE(files.size(), 24U);
  for (const auto& [name, truth] : files.items()) {
    const auto image = decode_image(read_file(kFolder / name), name);
    EXPECT_EQ(image.sizes(), (std::vector<int64_t>{truth["size"][1], truth["size"][0], 3})) << name;
    EXPECT_EQ(crc32_z(0, image.const_data_ptr<uint8_t>(), image.nbytes()), truth["rgb_crc32"]) << name;
  }
}

TEST(ImageFile, WhatIsCutAnywhereIsRefusedOrWholeNonetheless) {
  const auto files = expected();
  for (const auto& [name, truth] : files.items()) {
    ::testing::internal::CaptureStderr();
    const auto bytes = read_file(kFolder / name);
    const auto whole = decode_image(bytes, name);
    int64_t num_refused = 0;
    for (size_t length = 0; length < bytes.size(); length += 1 + bytes.size() / 400) {
      const auto image = decoded(bytes.substr(0, length));
      num_refused += !image;
      EXPECT_TRUE(!image || image->equal(whole)) << name << " of " << length << " bytes";
    }
    EXPECT_GT(num_refused, 40) << name;
    check_silence(name);
  }
}

TEST(ImageFile, WhatIsDamagedIsRefusedOrAnImage) {
  Random random(5);
  const auto files = expected();
  for (const auto& [name, truth] : files.items()) {
    ::testing::internal::CaptureStderr();
    const auto bytes = read_file(kFolder / name);
    for (int trial = 0; trial < 100; ++trial) {
      auto damaged = bytes;
      for (int64_t i = random.between(1, 20); i > 0; --i)
        damaged[static_cast<size_t>(random.below(static_cast<int64_t>(bytes.size())))] = static_cast<char>(random.below(256));
      const auto image = decoded(damaged);
      EXPECT_TRUE(!image || (image->dim() == 3 && image->size(2) == 3));
    }
    check_silence(name);
  }
}

TEST(ImageFile, AJpegWithGarbageInItsDataIsRefused) {
  auto bytes = read_file(kFolder / "rgb.jpg");
  for (size_t i = bytes.size() - 120; i < bytes.size() - 20; ++i) bytes[i] = static_cast<char>(5 * i % 250);
  EXPECT_THAT(message_of([&] { decode_image(bytes, "a.jpg"); }),
              HasSubstr("a.jpg: the image cannot be read: Corrupt JPEG data"));
  EXPECT_THAT(message_of([&] { decode_image(bytes.substr(0, 720), "a.jpg"); }), HasSubstr("Premature end of JPEG file"));
}

TEST(ImageFile, HugeImagesAreRefusedByTheirHeaders) {
  auto png = read_file(kFolder / "rgb.png");
  png.replace(16, 8, number(100'000, 4, true) + number(100'000, 4, true));
  const auto* header = reinterpret_cast<const Bytef*>(png.data() + 12);
  png.replace(29, 4, number(crc32_z(0, header, 17), 4, true));
  auto jpeg = read_file(kFolder / "rgb.jpg");
  jpeg.replace(jpeg.find("\xff\xc0") + 5, 4, number(65'000, 2, true) + number(65'000, 2, true));
  auto bmp = read_file(kFolder / "rgb.bmp");
  bmp.replace(18, 8, number(100'000, 4, false) + number(0x100000000 - 100'000, 4, false));
  const std::string canvas = number(99'999, 3, false);
  const std::string webp = "RIFF" + number(30, 4, false) + "WEBPVP8X" + number(10, 4, false) + std::string(4, '\0') + canvas +
                           canvas + std::string(8, '\0');
  const std::string tiff = "MM" + number(42, 2, true) + number(8, 4, true) + number(2, 2, true) +  //
                           number(256, 2, true) + number(4, 2, true) + number(1, 4, true) + number(100'000, 4, true) +
                           number(257, 2, true) + number(4, 2, true) + number(1, 4, true) + number(100'000, 4, true);
  const std::string ppm = "P6 # wide\n# and high\n100000\t100000 255\n";
  for (const auto& file : {png, bmp, webp, tiff, ppm})
    EXPECT_THAT(message_of([&] { decode_image(file, "big"); }),
                HasSubstr("big: the image cannot be read: it has 100000x100000 pixels, the most is 100000000"));
  EXPECT_THAT(message_of([&] { decode_image(jpeg, "big"); }), HasSubstr("65000x65000 pixels"));
  EXPECT_THAT(message_of([] { decode_image("P6 2000000 1 255\n" + std::string(6'000'000, 'x'), "wide"); }),
              HasSubstr("wide: the image cannot be read: "));
}

TEST(ImageFile, WhatIsNoImageIsNamed) {
  EXPECT_THAT(message_of([] { decode_image("", "x"); }), HasSubstr("it is empty"));
  EXPECT_THAT(message_of([] { decode_image("<html>", "x"); }), HasSubstr("it is no JPEG, PNG, WebP, BMP, PPM or TIFF"));
  for (const std::string magic : {"\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "RIFF1234WEBP", "BM", "P6 ", "P6 #", "MM\x01*"})
    EXPECT_THAT(message_of([&] { decode_image(magic, "x"); }), HasSubstr("x: the image cannot be read"));
  EXPECT_THAT(message_of([&] { decode_image("P6\n0 5\n255\n", "x"); }), HasSubstr("says no size"));
}

}  // namespace
}  // namespace mugato::data
