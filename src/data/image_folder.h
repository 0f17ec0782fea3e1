// Pictures as files in a folder, which other files refer to.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <string>

#include "text_pool.h"

namespace mugato::data {

// Throws Error with `name` for a file's name that is empty, absolute or leads out of the folder.
void check_image_name(const std::string& file, const std::string& name);

// Throws Error with the number of images that are missing in the folder, and the first of them.
void check_images(const std::filesystem::path& folder, const TextNumbers& files);

// The image as (1,H,W,3) RGB. Throws Error with the file.
at::Tensor read_image(const std::filesystem::path& file);

}  // namespace mugato::data
