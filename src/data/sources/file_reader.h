// Bytes of a file at an offset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace mugato::data {

// An open regular file; reading moves nothing, so several threads may. Throws Error with file and byte.
class FileReader {
 public:
  explicit FileReader(std::filesystem::path path);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int64_t size() const { return size_; }
  void read(void* out, int64_t offset, int64_t count) const;  // all of them
  std::string read(int64_t offset, int64_t count) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

}  // namespace mugato::data
