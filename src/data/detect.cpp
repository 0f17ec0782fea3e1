#include "mugato/data/detect.h"

#include <algorithm>
#include <filesystem>

#include "mugato/core/error.h"

namespace fs = std::filesystem;

namespace mugato::data {
namespace {

bool ends_with_any(const std::string& name, std::initializer_list<const char*> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](const char* ending) { return name.ends_with(ending); });
}

std::string detect_file(const std::string& name) {
  if (ends_with_any(name, {".tar", ".tar.gz", ".tgz", ".tar.zst"})) return "webdataset";
  if (name.ends_with(".bin")) return "tokens";
  if (ends_with_any(name, {".txt", ".jsonl", ".parquet"})) return "text";
  return "";
}

std::string detect_folder(const fs::path& folder) {
  if (fs::exists(folder / "data" / "metadata.json") || fs::exists(folder / "data" / "main_data.hdf5")) return "minari";
  if (fs::exists(folder / "meta" / "info.json")) return "lerobot";
  if (fs::exists(folder / "metadata.jsonl") || fs::exists(folder / "metadata.csv")) return "images";
  std::string found;
  for (const auto& file : fs::directory_iterator(folder)) found = std::max(found, detect_file(file.path().filename().string()));
  return found;
}

}  // namespace

std::string detect_source(const std::string& path) {
  const bool is_pattern = path.find_first_of("*?{") != std::string::npos || path.find("://") != std::string::npos;
  if (!is_pattern && !fs::exists(path))
    throw Error(path + ": no such configuration, file, folder or source", "mugato data sources lists the sources");
  const auto found = !is_pattern && fs::is_directory(path) ? detect_folder(path) : detect_file(path);
  if (found.empty())
    throw Error(path + ": what it holds is not clear from its name", "say it: --source NAME; mugato data sources lists them");
  return found;
}

}  // namespace mugato::data
