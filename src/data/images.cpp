#include "mugato/data/images.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "mugato/token/image.h"

namespace mugato::data {
namespace {

struct Size {
  int64_t height = 0, width = 0;
};

// The part of an image that is kept, from its middle; the size that it is scaled to; and the size with the black around it.
struct Plan {
  Size kept, scaled, result;
};

int64_t scaled_side(int64_t side, double scale) {
  return std::max<int64_t>(1, std::llround(static_cast<double>(side) * scale));
}

Plan plan(Size image, const ImageOptions& options) {
  const auto height = static_cast<double>(image.height), width = static_cast<double>(image.width);
  if (options.policy == "pad") {
    const auto most = static_cast<double>(options.max_side);
    const double scale = options.max_side > 0 ? std::min(1.0, most / std::max(height, width)) : 1.0;
    const Size scaled{scaled_side(image.height, scale), scaled_side(image.width, scale)};
    return {image, scaled, scaled};
  }
  const Size size{options.size[0], options.size[1]};
  const double by_height = static_cast<double>(size.height) / height, by_width = static_cast<double>(size.width) / width;
  if (options.policy == "resize") {
    const double scale = std::min(by_height, by_width);
    const Size scaled{std::min(size.height, scaled_side(image.height, scale)),
                      std::min(size.width, scaled_side(image.width, scale))};
    return {image, scaled, size};
  }
  // Cut before it is scaled: a strip of pixels would become huge.
  const double scale = std::max(by_height, by_width);
  return {{std::min(image.height, scaled_side(size.height, 1.0 / scale)),
           std::min(image.width, scaled_side(size.width, 1.0 / scale))},
          size,
          size};
}

}  // namespace

void validate(const ImageOptions& options, const std::string& where) {
  if (options.policy == "pad" && !options.size.empty())
    throw Error(where + "image_size is set and image_policy is \"pad\", which keeps the size of images",
                "set image_policy to \"resize\" or \"crop\", or image_max in place of image_size");
  if (options.policy != "pad" && options.size.size() != 2)
    throw Error(where + "image_policy is \"" + options.policy + "\" and image_size is not set",
                "give height and width: image_size = [64, 64]");
  if (options.policy != "pad" && options.max_side > 0)
    throw Error(where + "image_max is set and image_policy is \"" + options.policy + "\"",
                "image_size says how large images become: leave out image_max");
}

at::Tensor resize_images(const at::Tensor& images, const ImageOptions& options, const std::string& field) {
  const auto patches = cut_patches(images, field);  // which checks them and makes them RGB bytes
  const Size size{images.size(1), images.size(2)};
  const auto rgb = join_patches(patches, size.height, size.width);
  const auto [kept, scaled, result] = plan(size, options);
  const auto part = rgb.narrow(1, (size.height - kept.height) / 2, kept.height)
                        .narrow(2, (size.width - kept.width) / 2, kept.width)
                        .contiguous();
  auto resized = at::zeros({rgb.size(0), result.height, result.width, 3}, at::kByte);
  const bool shrinks = scaled.height * scaled.width < kept.height * kept.width;
  for (int64_t e = 0; e < rgb.size(0); ++e) {
    const cv::Mat from(static_cast<int>(kept.height), static_cast<int>(kept.width), CV_8UC3, part[e].data_ptr());
    const cv::Mat to(static_cast<int>(result.height), static_cast<int>(result.width), CV_8UC3, resized[e].data_ptr());
    cv::Mat corner = to(cv::Rect(0, 0, static_cast<int>(scaled.width), static_cast<int>(scaled.height)));
    cv::resize(from, corner, corner.size(), 0, 0, shrinks ? cv::INTER_AREA : cv::INTER_LINEAR);
  }
  return resized;
}

Schema with_images(Schema schema, const ImageOptions& options) {
  for (auto& field : schema.fields) {
    if (field.modality != Modality::kImage) continue;
    if (options.policy != "pad") {
      field.shape = {options.size[0], options.size[1], 3};
    } else if (!field.shape.empty()) {
      const auto size = plan({field.shape[0], field.shape[1]}, options).result;
      field.shape = {size.height, size.width, 3};
    }
  }
  return schema;
}

Episode ImageSource::get(int64_t index) const {
  auto episode = inner().get(index);
  for (size_t f = 0; f < schema_.fields.size(); ++f)
    if (schema_.fields[f].modality == Modality::kImage)
      episode.fields[f].values =
          resize_images(episode.fields[f].values, options_, schema_.fields[f].name + "' of '" + episode.id);
  return episode;
}

}  // namespace mugato::data
