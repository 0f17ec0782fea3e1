#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "files_internal.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"

namespace mugato {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDone = "DONE";
constexpr const char* kTemporary = ".tmp.";

// Everything under a folder.
std::vector<fs::directory_entry> walk(const fs::path& folder) {
  std::vector<fs::directory_entry> all;
  std::error_code failure;
  for (fs::recursive_directory_iterator at(folder, failure), end; !failure && at != end; at.increment(failure))
    all.push_back(*at);
  if (failure) throw_system_error("list the folder", folder, failure.value());
  return all;
}

// "<bytes> <name>" a line, sorted by name.
std::string list_files(const std::vector<fs::directory_entry>& entries, const fs::path& folder) {
  std::map<std::string, uintmax_t> sizes;
  for (const auto& entry : entries)
    if (entry.is_regular_file()) sizes[entry.path().lexically_relative(folder).string()] = entry.file_size();
  std::string text;
  for (const auto& [name, size] : sizes) text += std::to_string(size) + " " + name + "\n";
  return text;
}

void remove_tree(const fs::path& path) {
  std::error_code failure;
  fs::remove_all(path, failure);
  if (failure) throw_system_error("remove", path, failure.value());
}

void rename_or_throw(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw_system_error("replace", to, errno);
}

// Puts `fresh` in the place of `old`, which is a folder that exists, and removes what was there.
void replace_folder(const fs::path& fresh, const fs::path& old) {
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, old.c_str(), RENAME_EXCHANGE) == 0) {
    remove_tree(fresh);
    return;
  }
  if (errno != EINVAL && errno != ENOSYS) throw_system_error("replace", old, errno);
  // This file system cannot exchange: for a moment no folder has the name, and never a half-written one.
  const fs::path aside = old.string() + ".old" + kTemporary + std::to_string(::getpid());
  rename_or_throw(old, aside);
  rename_or_throw(fresh, old);
  remove_tree(aside);
}

// The path without a trailing slash, so that a sibling's name can be made of it.
fs::path without_slash(fs::path path) { return path.has_filename() ? path : path.parent_path(); }

}  // namespace

FolderTransaction::FolderTransaction(fs::path final_folder)
    : final_(without_slash(std::move(final_folder))), temporary_(final_.string() + kTemporary + std::to_string(::getpid())) {
  remove_tree(temporary_);
  make_folders(temporary_);
}

FolderTransaction::~FolderTransaction() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void FolderTransaction::write(const std::string& name, std::string_view bytes) {
  FileWriter file(temporary_ / name, FileWriter::Mode::kTruncate);
  file.write(bytes);
  file.sync();
  file.close();
}

void FolderTransaction::commit() {
  const auto entries = walk(temporary_);
  for (const auto& entry : entries)
    if (entry.is_regular_file() || entry.is_directory()) sync_path(entry.path());
  write(kDone, list_files(entries, temporary_));
  sync_path(temporary_);
  if (fs::is_directory(final_)) {
    replace_folder(temporary_, final_);
  } else {
    rename_or_throw(temporary_, final_);  // fails where a file has the name
  }
  committed_ = true;
  sync_path(folder_of(final_));
}

bool is_complete_folder(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / kDone, ignored);
}

void check_complete_folder(const fs::path& folder) {
  if (!is_complete_folder(folder))
    throw Error("'" + folder.string() + "' is not a complete folder: it has no file " + kDone,
                "it was not written to the end; use an earlier one");
  std::istringstream done(read_file(folder / kDone));
  uintmax_t expected = 0;
  std::string name;
  while (done >> expected && done.ignore() && std::getline(done, name)) {
    std::error_code failure;
    const uintmax_t size = fs::file_size(folder / name, failure);
    if (failure)
      throw Error("'" + (folder / name).string() + "' is missing, although " + kDone + " lists it", "copy the folder again");
    if (size != expected)
      throw Error("'" + (folder / name).string() + "' has " + std::to_string(size) + " bytes, " + kDone + " says " +
                      std::to_string(expected),
                  "copy the folder again, or use an earlier one");
  }
}

void remove_complete_folder(const fs::path& folder) {
  const fs::path aside = without_slash(folder).string() + kTemporary + std::to_string(::getpid());
  remove_tree(aside);
  rename_or_throw(folder, aside);
  remove_tree(aside);
}

int64_t remove_unfinished_folders(const fs::path& parent) {
  std::vector<fs::path> unfinished;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(parent, failure)) {
    const std::string name = entry.path().filename().string();
    const size_t at = name.rfind(kTemporary);
    if (at == std::string::npos || !entry.is_directory()) continue;
    const std::string pid = name.substr(at + std::string(kTemporary).size());
    if (!pid.empty() && std::all_of(pid.begin(), pid.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
      unfinished.push_back(entry.path());
  }
  for (const auto& folder : unfinished) remove_tree(folder);
  return static_cast<int64_t>(unfinished.size());
}

}  // namespace mugato
