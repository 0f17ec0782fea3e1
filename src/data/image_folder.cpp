#include "image_folder.h"

#include <algorithm>
#include <vector>

#include "image_file.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "parallel.h"

namespace mugato::data {
namespace {

constexpr size_t kChunk = 1024;  // files a thread looks for at a time
constexpr uintmax_t kMaxFile = uintmax_t{1} << 30;

}  // namespace

void check_image_name(const std::string& file, const std::string& name) {
  const std::filesystem::path path(file);
  const bool leaves = path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end();
  if (file.empty() || leaves)
    throw Error(name + ": the image '" + file + "' is no file of the folder", "names are relative to the folder of the images");
}

void check_images(const std::filesystem::path& folder, const TextNumbers& files) {
  std::vector<std::vector<size_t>> missing((files.size() + kChunk - 1) / kChunk);
  parallel_for_each(missing.size(), most_threads(), [&](size_t chunk) {
    for (size_t i = chunk * kChunk; i < std::min(files.size(), (chunk + 1) * kChunk); ++i)
      if (std::error_code ignored; !std::filesystem::is_regular_file(folder / files[i], ignored)) missing[chunk].push_back(i);
  });
  size_t count = 0;
  for (const auto& chunk : missing) count += chunk.size();
  if (count == 0) return;
  const auto first = std::find_if(missing.begin(), missing.end(), [](const auto& chunk) { return !chunk.empty(); })->front();
  throw Error("of " + std::to_string(files.size()) + " images in '" + folder.string() + "', " + std::to_string(count) +
                  (count == 1 ? " is missing: '" : " are missing, the first of them '") + files[first] + "'",
              "check the folder of the images, and that all are downloaded");
}

at::Tensor read_image(const std::filesystem::path& file) {
  std::error_code missing;  // read_file words it
  if (const auto size = std::filesystem::file_size(file, missing); !missing && size > kMaxFile)
    throw Error("'" + file.string() + "' has more than 1 GiB", "it is no image");
  return decode_image(read_file(file), "'" + file.string() + "'").unsqueeze(0);
}

}  // namespace mugato::data
