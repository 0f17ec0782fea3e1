// Frames of a video by their times.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

#include "storage.h"

namespace mugato::data {

// A file that libav can demultiplex, opened at its first video stream. Not thread-safe.
class VideoFile {
 public:
  // Throws Error for what is no video, or one that has no decoder.
  VideoFile(const Storage& storage, const std::string& path);
  ~VideoFile();

  // The frames shown at these times, in seconds of the file: (n,height,width,3) RGB. Times in ascending order are decoded front
  // to back from the keyframe before the first. Throws Error that names file and time when no frame is within `tolerance`
  // seconds, the file is cut off or broken, or frames have another size.
  at::Tensor frames(const std::vector<double>& times, double tolerance, int64_t height, int64_t width);

 private:
  class Decoder;
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace mugato::data
