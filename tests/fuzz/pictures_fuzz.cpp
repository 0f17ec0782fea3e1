// An encoded image, as webdataset, vqa and images decode it, and as jat and Minari do.
#include "reading.h"
#include "src/data/image_file.h"
#include "src/data/sources/encoded_image.h"
#include "src/data/sources/jpeg.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  constexpr int64_t kSide = 64;
  const auto way = input.below(3);
  is_read([&] {
    if (way == 0) data::decode_image(input.rest(), "image");
    if (way == 1) data::decode_channels(input.rest(), "image");
    if (way == 2) {
      const auto pixels = at::empty({kSide, kSide, 3}, at::kByte);
      const auto bytes = input.rest();
      data::decode_jpegs({&bytes, 1}, {kSide, kSide, 3}, pixels.mutable_data_ptr<uint8_t>(), "image");
    }
  });
}

}  // namespace mugato::fuzz
