// Where files of data sets lie: on this machine, or behind a URL that Arrow can open (s3://bucket/folder, file:///folder).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace arrow::fs {
class FileSystem;
}
namespace arrow::io {
class RandomAccessFile;
}

namespace mugato::data {

// All throw Error that names the file as the user would, without the password of a URL.
class Storage {
 public:
  // A path, or a URL: its part before the path says which storage.
  explicit Storage(const std::string& path_or_url);

  const std::string& root() const { return root_; }  // the path within the storage; may be a pattern
  std::string name_of(const std::string& path) const { return prefix_ + path; }
  Storage below(const std::string& folder) const;  // the same storage, with the root at a folder below this one
  bool is_remote() const { return !prefix_.empty(); }

  // The regular files that the root means, sorted: itself; those of a folder and the folders below whose names end with
  // `suffix`, those beginning with "_" or "." left out; or, with *, ? or [, those that match, where no wildcard crosses a /.
  // Error when there is none.
  std::vector<std::string> find(const std::string& suffix) const;

  bool has_file(const std::string& path) const;
  std::shared_ptr<arrow::io::RandomAccessFile> open(const std::string& path) const;  // may be read from several threads

  // The bytes of a file, which has at most `max_bytes`.
  std::string read(const std::string& path, int64_t max_bytes) const;

  // The lines of a file that are not blank, one after the other, each of at most `max_bytes`; `number` counts from 1.
  void for_each_line(const std::string& path, int64_t max_bytes,
                     const std::function<void(std::string_view line, int64_t number)>& use) const;

 private:
  std::vector<std::string> list(const std::string& folder, int max_depth) const;

  std::shared_ptr<arrow::fs::FileSystem> files_;
  std::string prefix_;  // of names: "s3://", or nothing
  std::string root_;
};

}  // namespace mugato::data
