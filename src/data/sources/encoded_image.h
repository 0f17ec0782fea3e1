// Encoded pictures to pixels, of bounded size.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <string_view>
#include <vector>

namespace mugato::data {

// PNG or JPEG with the channels of the file: (H,W,1) grey, (H,W,3) RGB, (H,W,4) RGBA. Throws Error that begins with `where` for
// other bytes, pictures that are cut off and those of more than 2^26 pixels, which are not decoded.
at::Tensor decode_channels(std::string_view bytes, const std::string& where);

// The pictures of an episode, (n,H,W,C), by decode_image or decode_channels. Throws Error for sizes that differ, too.
at::Tensor decode_all(const std::vector<std::string>& encoded, at::Tensor (*decode)(std::string_view, const std::string&),
                      const std::string& where);

// Throws Error when the decoded pictures of an episode would take more than 4 GiB.
void check_picture_bytes(int64_t num_pictures, int64_t bytes_each, const std::string& where);

}  // namespace mugato::data
