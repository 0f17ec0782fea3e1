#if MUGATO_ARROW

#include "storage.h"

#include <arrow/filesystem/filesystem.h>
#include <arrow/filesystem/localfs.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <dlfcn.h>
#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "arrow_status.h"
#include "mugato/core/error.h"

namespace mugato::data {
namespace {

constexpr int64_t kPiece = 1 << 20;  // bytes that are read at once

// The library of Amazon's protocol is large and lies beside Arrow's own: it is loaded with the first URL that needs it.
void load_s3() {
  Dl_info arrow_library{};
  TORCH_CHECK(dladdr(reinterpret_cast<const void*>(&arrow::fs::LoadFileSystemFactories), &arrow_library), "Arrow has no file");
  std::string path = arrow_library.dli_fname;
  const auto place = path.rfind("libarrow.so");
  if (place == std::string::npos) return;  // linked statically: with S3 or without
  path.insert(place + std::string("libarrow").size(), "_s3");
  if (!std::filesystem::exists(path))
    throw Error("this build has no support for s3:// URLs: there is no " + path, "install pyarrow's libraries (tools/setup)");
  check(arrow::fs::LoadFileSystemFactories(path.c_str()), path);
}

// Its threads have to end before the libraries' own objects go. Called once they are there: what is registered last runs first.
void finalize_at_exit() {
  static std::once_flag registered;
  std::call_once(registered, [] { std::atexit(&arrow::fs::EnsureFinalized); });
}

std::string scheme_of(const std::string& path) {
  const auto end = path.find("://");
  return end == std::string::npos ? "" : path.substr(0, end);
}

// A URL without user, password and options.
std::string public_part(std::string url) {
  const auto host = url.find("://") + 3;
  const auto at = url.find('@', host);
  if (at != std::string::npos && at < url.find('/', host)) url.erase(host, at + 1 - host);
  return url.substr(0, url.find('?'));
}

bool is_pattern(std::string_view path) { return path.find_first_of("*?[") != std::string_view::npos; }

bool is_hidden(const std::filesystem::path& path) {
  return std::any_of(path.begin(), path.end(),
                     [](const auto& part) { return part.native()[0] == '_' || part.native()[0] == '.'; });
}

bool ends_with(std::string_view path, std::string_view suffix) {
  return path.size() >= suffix.size() && path.substr(path.size() - suffix.size()) == suffix;
}

}  // namespace

Storage::Storage(const std::string& path_or_url) {
  if (path_or_url.empty()) throw Error("there is no path to read", "give the key path: a file, folder, pattern or URL");
  const auto scheme = scheme_of(path_or_url);
  if (scheme.empty()) {
    files_ = std::make_shared<arrow::fs::LocalFileSystem>();
    root_ = std::filesystem::absolute(path_or_url).lexically_normal();
  } else {
    static const char* const kHint = "URLs that can be read are s3://bucket/folder and file:///folder; download others";
    if (scheme != "s3" && scheme != "file") throw Error(public_part(path_or_url) + " cannot be read", kHint);
    if (scheme == "s3") load_s3();
    // A pattern is no URL: what follows ? would be options.
    auto opened = arrow::fs::FileSystemFromUri(path_or_url, &root_);
    if (scheme == "s3") finalize_at_exit(), prefix_ = "s3://";
    files_ = value_of(std::move(opened), public_part(path_or_url), kHint);
  }
  while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
}

Storage Storage::below(const std::string& folder) const {
  auto there = *this;
  there.root_ += "/" + folder;
  return there;
}

std::vector<std::string> Storage::list(const std::string& folder, int max_depth) const {
  arrow::fs::FileSelector selector;
  selector.base_dir = folder;
  selector.recursive = max_depth != 0;
  if (max_depth > 0) selector.max_recursion = max_depth;
  std::vector<std::string> paths;
  for (const auto& info : value_of(files_->GetFileInfo(selector), name_of(folder)))
    if (info.type() == arrow::fs::FileType::File) paths.push_back(info.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<std::string> Storage::find(const std::string& suffix) const {
  std::vector<std::string> found;
  if (is_pattern(root_)) {
    const auto folder_end = root_.rfind('/', root_.find_first_of("*?["));
    const auto folder = folder_end == std::string::npos ? "" : root_.substr(0, folder_end);
    const auto depth = std::count(root_.begin() + static_cast<int64_t>(folder.size()) + 1, root_.end(), '/');
    for (auto& path : list(folder, static_cast<int>(depth)))
      if (::fnmatch(root_.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0) found.push_back(std::move(path));
    if (found.empty()) throw Error(name_of(root_) + " matches no file", "wildcards do not cross a /");
    return found;
  }
  const auto info = value_of(files_->GetFileInfo(root_), name_of(root_));
  if (info.type() == arrow::fs::FileType::File) return {root_};
  if (info.type() != arrow::fs::FileType::Directory)
    throw Error("there is no file or folder " + name_of(root_), "see the key path");
  for (auto& path : list(root_, /*max_depth=*/-1))
    if (ends_with(path, suffix) && !is_hidden(path.substr(root_.size() + 1))) found.push_back(std::move(path));
  if (found.empty()) throw Error("the folder " + name_of(root_) + " has no file *" + suffix, "see the key path");
  return found;
}

bool Storage::has_file(const std::string& path) const {
  return value_of(files_->GetFileInfo(path), name_of(path)).type() == arrow::fs::FileType::File;
}

std::shared_ptr<arrow::io::RandomAccessFile> Storage::open(const std::string& path) const {
  return value_of(files_->OpenInputFile(path), name_of(path));
}

std::string Storage::read(const std::string& path, int64_t max_bytes) const {
  const auto file = open(path);
  const int64_t size = value_of(file->GetSize(), name_of(path));
  if (size > max_bytes)
    throw Error(name_of(path) + " has " + std::to_string(size) + " bytes, more than the " + std::to_string(max_bytes) +
                    " that such a file may have",
                "is it the right file?");
  std::string bytes(static_cast<size_t>(size), '\0');
  bytes.resize(static_cast<size_t>(value_of(file->ReadAt(0, size, bytes.data()), name_of(path))));
  return bytes;
}

void Storage::for_each_line(const std::string& path, int64_t max_bytes,
                            const std::function<void(std::string_view line, int64_t number)>& use) const {
  const auto file = open(path);
  std::string rest, piece(kPiece, '\0');
  int64_t offset = 0, number = 0;
  const auto take = [&](std::string_view line) {
    ++number;
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) use(line, number);
  };
  while (const int64_t count = value_of(file->ReadAt(offset, kPiece, piece.data()), name_of(path))) {
    offset += count;
    rest.append(piece.data(), static_cast<size_t>(count));
    size_t begin = 0;
    for (size_t end; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1)
      take(std::string_view(rest).substr(begin, end - begin));
    rest.erase(0, begin);
    if (static_cast<int64_t>(rest.size()) > max_bytes)
      throw Error(
          name_of(path) + ": line " + std::to_string(number + 1) + " has more than " + std::to_string(max_bytes) + " bytes",
          "is it the right file?");
  }
  if (!rest.empty()) take(rest);
}

}  // namespace mugato::data

#endif  // MUGATO_ARROW
