// Pictures of a known size out of JPEGs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mugato::data {

bool is_jpeg(std::string_view bytes);

// Decodes the pictures of an episode into `pixels`, row-major: each of the shape {H,W} or {H,W,1}, grey, or {H,W,3} in the
// order red, green, blue. Throws Error that begins with `where` and names the timestep for what is no JPEG of this shape;
// nothing is decoded, nor allocated, before its header is seen to say so.
void decode_jpegs(std::span<const std::string_view> images, const std::vector<int64_t>& shape, uint8_t* pixels,
                  const std::string& where);

}  // namespace mugato::data
