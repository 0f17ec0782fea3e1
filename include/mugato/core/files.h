// Files and folders that are either whole or not there. All throw Error with the file, the system's reason and a hint;
// failures of the machine (a full disk) have kind kFailure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace mugato {

struct Descriptor;

// The bytes of a regular file.
std::string read_file(const std::filesystem::path& path);

// An open regular file, read at any place; several threads may.
class FileReader {
 public:
  explicit FileReader(std::filesystem::path path);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int64_t size() const { return size_; }                      // when it was opened
  void read(void* out, int64_t offset, int64_t count) const;  // all of these bytes, or throws
  std::string read(int64_t offset, int64_t count) const;

 private:
  std::filesystem::path path_;
  std::unique_ptr<Descriptor> file_;
  int64_t size_;
};

// Appends to one open file. The destructor closes without syncing.
class FileWriter {
 public:
  enum class Mode { kTruncate, kAppend };

  FileWriter(std::filesystem::path path, Mode mode);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(std::string_view bytes);
  void sync();   // until the bytes are on the disk
  void close();  // reports what the system held back until now

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

// Writes a file under a temporary name beside its own. commit() syncs, renames over `path` and syncs the folder; without it
// the destructor removes the temporary file and `path` stays as it was. The folder has to exist.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes) { writer_.write(bytes); }
  void commit();

 private:
  std::filesystem::path path_;
  FileWriter writer_;
  bool committed_ = false;
};

// Makes the folder and those above it, where they do not exist.
void make_folders(const std::filesystem::path& path);

// AtomicFile in one call.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// Throws Error when no file can be written at `path`: asked before the work whose result goes there. Leaves nothing behind.
void check_writable(const std::filesystem::path& path);

// Makes `link` point to `target` (relative to the link's folder), replacing it in one step. Throws Error when something
// that is no link has the name.
void point_link(const std::filesystem::path& link, const std::filesystem::path& target);

// A folder that appears whole: files are written into `<name>.tmp.<pid>` beside it; commit() syncs them, writes DONE (the
// names and sizes of the files) last, and renames the folder, replacing one of the same name. Without commit() the
// destructor removes it. Other processes may write into folder() too, as long as they are finished before commit().
class FolderTransaction {
 public:
  explicit FolderTransaction(std::filesystem::path final_folder);
  ~FolderTransaction();
  FolderTransaction(const FolderTransaction&) = delete;
  FolderTransaction& operator=(const FolderTransaction&) = delete;

  const std::filesystem::path& folder() const { return temporary_; }
  void write(const std::string& name, std::string_view bytes);
  void commit();

 private:
  std::filesystem::path final_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

// Whether the folder was committed: DONE is there.
bool is_complete_folder(const std::filesystem::path& folder);

// Throws Error when DONE is missing, or a file it lists is missing or has another size.
void check_complete_folder(const std::filesystem::path& folder);

// Removes a folder that was committed: it is whole or not there at every moment, as it was when it appeared.
void remove_complete_folder(const std::filesystem::path& folder);

// Removes what interrupted transactions left in `parent`, and returns how many. Call it from one process, while no
// transaction is open there.
int64_t remove_unfinished_folders(const std::filesystem::path& parent);

}  // namespace mugato
