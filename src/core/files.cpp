#include "mugato/core/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "files_internal.h"
#include "mugato/core/error.h"

namespace mugato {
namespace {

std::string hint_for(int code) {
  switch (code) {
    case ENOENT:
      return "check the path, and that the folder exists";
    case ENOTDIR:
      return "a part of the path is a file, not a folder";
    case EISDIR:
      return "give the path of a file in it";
    case EACCES:
    case EPERM:
      return "check the permissions of the file and its folder";
    case EROFS:
      return "the file system is read-only: choose another folder";
    case ENOSPC:
    case EDQUOT:
      return "free some space there, or choose another folder";
    case EFBIG:
      return "raise the limit on the size of files (ulimit -f), or choose another file system";
    case EMFILE:
    case ENFILE:
      return "raise the limit on open files (ulimit -n)";
    default:
      return "check the disk or the network file system";
  }
}

// What the user named wrongly, as opposed to what the machine could not do.
bool is_user_mistake(int code) {
  return code == ENOENT || code == ENOTDIR || code == EISDIR || code == EACCES || code == EPERM;
}

}  // namespace

void throw_system_error(const std::string& doing, const std::filesystem::path& path, int code) {
  throw Error("cannot " + doing + " '" + path.string() + "': " + std::generic_category().message(code), hint_for(code),
              is_user_mistake(code) ? Error::Kind::kUser : Error::Kind::kFailure);
}

Descriptor::Descriptor(const std::filesystem::path& path, int flags, const std::string& doing)
    : value(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
  if (value < 0) throw_system_error(doing, path, errno);
}

Descriptor::~Descriptor() {
  if (value >= 0) ::close(value);
}

int64_t size_of_regular_file(int descriptor, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw_system_error("read", path, errno);
  if (S_ISDIR(status.st_mode)) throw_system_error("read", path, EISDIR);
  if (!S_ISREG(status.st_mode))
    throw Error("cannot read '" + path.string() + "': it is not a regular file", "give the path of a file");
  return status.st_size;
}

void read_exactly(int descriptor, const std::filesystem::path& path, char* out, int64_t size, int64_t offset) {
  while (size > 0) {
    const ssize_t count = ::pread(descriptor, out, static_cast<size_t>(size), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_system_error("read", path, errno);
    if (count == 0)
      throw Error("'" + path.string() + "' ends at byte " + std::to_string(offset) + ", earlier than when it was opened",
                  "is another process writing it?", Error::Kind::kFailure);
    out += count;
    offset += count;
    size -= count;
  }
}

void sync_path(const std::filesystem::path& path) {
  const Descriptor file(path, O_RDONLY, "sync");
  if (::fsync(file.value) != 0) throw_system_error("sync", path, errno);
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

FileReader::FileReader(std::filesystem::path path)
    : path_(std::move(path)),
      file_(std::make_unique<Descriptor>(path_, O_RDONLY, "read")),
      size_(size_of_regular_file(file_->value, path_)) {}

FileReader::~FileReader() = default;

void FileReader::read(void* out, int64_t offset, int64_t count) const {
  read_exactly(file_->value, path_, static_cast<char*>(out), count, offset);
}

std::string FileReader::read(int64_t offset, int64_t count) const {
  std::string bytes(static_cast<size_t>(count), '\0');
  read(bytes.data(), offset, count);
  return bytes;
}

std::string read_file(const std::filesystem::path& path) {
  const FileReader file(path);
  return file.read(0, file.size());
}

FileWriter::FileWriter(std::filesystem::path path, Mode mode) : path_(std::move(path)) {
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (mode == Mode::kAppend ? O_APPEND : O_TRUNC);
  descriptor_ = ::open(path_.c_str(), flags, 0666);
  if (descriptor_ < 0) throw_system_error("write", path_, errno);
}

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FileWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_system_error("write", path_, errno);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void FileWriter::sync() {
  // Devices and pipes have nothing to sync and say EINVAL.
  if (::fsync(descriptor_) != 0 && errno != EINVAL) throw_system_error("sync", path_, errno);
}

void FileWriter::close() {
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) throw_system_error("write", path_, errno);
}

AtomicFile::AtomicFile(std::filesystem::path path)
    : path_(std::move(path)), writer_(path_.string() + ".tmp." + std::to_string(::getpid()), FileWriter::Mode::kTruncate) {}

AtomicFile::~AtomicFile() {
  if (!committed_) ::unlink(writer_.path().c_str());
}

void AtomicFile::commit() {
  writer_.sync();
  writer_.close();
  if (::rename(writer_.path().c_str(), path_.c_str()) != 0) throw_system_error("replace", path_, errno);
  committed_ = true;
  sync_path(folder_of(path_));
}

void make_folders(const std::filesystem::path& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) throw_system_error("make the folder", path, failure.value());
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void check_writable(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) throw_system_error("write", path, EISDIR);
  const std::filesystem::path folder = folder_of(path);
  if (!std::filesystem::is_directory(folder))
    throw Error("cannot write '" + path.string() + "': there is no folder '" + folder.string() + "'",
                "make it, or choose another place");
  const AtomicFile probe(path);
}

void point_link(const std::filesystem::path& link, const std::filesystem::path& target) {
  struct stat status {};
  if (::lstat(link.c_str(), &status) == 0 && !S_ISLNK(status.st_mode))
    throw Error("cannot make the link '" + link.string() + "': something else has this name", "move it away");
  const std::string temporary = link.string() + ".tmp." + std::to_string(::getpid());
  ::unlink(temporary.c_str());
  if (::symlink(target.c_str(), temporary.c_str()) != 0) throw_system_error("make the link", link, errno);
  if (::rename(temporary.c_str(), link.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary.c_str());
    throw_system_error("make the link", link, code);
  }
  sync_path(folder_of(link));
}

}  // namespace mugato
