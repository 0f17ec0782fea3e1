#include "file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "mugato/core/error.h"

namespace mugato::data {

FileReader::FileReader(std::filesystem::path path)
    : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status {};
  if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0)
    throw Error(path_.string() + ": " + std::strerror(errno), "give a file that is there and may be read");
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw Error(path_.string() + ": not a regular file", "give a file");
  }
  size_ = status.st_size;
}

FileReader::~FileReader() { ::close(descriptor_); }

void FileReader::read(void* out, int64_t offset, int64_t count) const {
  for (int64_t done = 0; done < count;) {
    const ssize_t got = ::pread(descriptor_, static_cast<char*>(out) + done, static_cast<size_t>(count - done), offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      throw Error(path_.string() + ", byte " + std::to_string(offset + done) + ": " +
                      (got < 0 ? std::strerror(errno) : "the file ends here"),
                  "the file was cut since it was opened, or its disk fails", Error::Kind::kFailure);
    done += got;
  }
}

std::string FileReader::read(int64_t offset, int64_t count) const {
  std::string bytes(static_cast<size_t>(count), '\0');
  read(bytes.data(), offset, count);
  return bytes;
}

}  // namespace mugato::data
