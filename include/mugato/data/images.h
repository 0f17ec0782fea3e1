// Sizes of images: what a [[data]] entry says of them, before they are cut into patches.
// Shape legend: E timesteps, H height, W width, C channels.
#pragma once

#include <string>
#include <vector>

#include "mugato/data/decorator.h"

namespace mugato::data {

struct ImageOptions {
  // pad: images keep their size, and black fills up the last patches. resize: scaled, without distortion, to fit into `size`,
  // black at the right or the bottom. crop: scaled to cover `size`, the middle kept.
  std::string policy = "pad";
  std::vector<int64_t> size = {};  // H, W
  int64_t max_side = 0;            // with pad: larger images are scaled down until their longer side is this; 0: none is

  bool changes() const { return policy != "pad" || max_side > 0; }
};

// Throws Error that begins with `where` for options that contradict each other.
void validate(const ImageOptions& options, const std::string& where);

// Images (E,H,W) or (E,H,W,C) as cut_patches takes them to (E,H',W',3) uint8. Pixels are averaged where an image shrinks and
// interpolated where it grows. Throws Error that names `field` as cut_patches does.
at::Tensor resize_images(const at::Tensor& images, const ImageOptions& options, const std::string& field);

// The schema of images after resize_images.
Schema with_images(Schema schema, const ImageOptions& options);

class ImageSource : public SourceDecorator {
 public:
  ImageSource(std::shared_ptr<const Source> inner, ImageOptions options)
      : SourceDecorator(inner), options_(std::move(options)), schema_(with_images(inner->schema(), options_)) {}
  const Schema& schema() const override { return schema_; }
  Episode get(int64_t index) const override;

 private:
  ImageOptions options_;
  Schema schema_;
};

}  // namespace mugato::data
